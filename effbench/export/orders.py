"""What is asked of an export, whether it can be, and what is known of one that was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from effbench.data.splits import Dataset
from effbench.errors import UsageError
from effbench.export import formats
from effbench.export.evaluation import Evaluation, fingerprint, known
from effbench.export.quantization import FLOAT32, Precision
from effbench.records.record import Record, RunResult
from effbench.records.store import Store

# What the names of the record of an export, and of the card for its readers, add to its model's.
ABOUT, CARD = ".json", ".README.md"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        key: of the run.
        format: a row of `formats.FORMATS`.
        quantize: what was asked for, a row of `quantization.PRECISIONS`.
        input_size: height and width of the images that it takes; None for any.
        source: sha256 of what the run kept.
        sha256: of the model.
        size: bytes.
        difference: the largest difference between a probability of it and of the run's network.
        images: how many images were compared.
        notes: what else is to be said.
    """

    key: str
    format: str
    quantize: str
    input_size: int | None
    source: str
    sha256: str
    size: int
    difference: float
    images: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class JudgedData:
    """The data of a run, by which its model is judged.

    Attributes:
        name: of the dataset.
        dataset: the images, limited as those of the run.
    """

    name: str
    dataset: Dataset


@dataclass(frozen=True)
class ExportOrder:
    """What is to be written.

    Attributes:
        store: the store of the run.
        record: the record of the run.
        format: a row of `formats.FORMATS`.
        output: where to write it; None for the run's key in the working directory.
        force: whether it may take the place of another model.
        weights_dir: folder of the backbone's file, where only a head was trained.
        input_size: height and width of the only images that it takes; None for any.
        quantize: in what it keeps numbers.
        data: the data of the run; None to compare the model on a few images of noise alone.
        allow_loss: whether it may get fewer images right than its run.
        hub: whether its folder is laid out as the Hub of Hugging Face expects.
    """

    store: Store
    record: Record
    format: str
    output: Path | None = None
    force: bool = False
    weights_dir: Path | None = None
    input_size: int | None = None
    quantize: Precision = FLOAT32
    data: JudgedData | None = None
    allow_loss: bool = False
    hub: bool = False

    @property
    def path(self) -> Path:
        """Where it is to be."""
        ending = name_ending(self.format, self.quantize, self.input_size)
        return self.output or Path(f"{self.record.spec.key}{ending}")

    @property
    def side(self) -> int | None:
        """Height and width of the only images that the model takes; None for any."""
        whole = self.quantize.integer
        return self.input_size or (self.record.spec.image_size if whole else None)

    @property
    def source(self) -> str:
        """The sha256 of what the run kept; "" where it kept nothing."""
        kept = self.store.model(self.record.spec.key)
        return fingerprint(kept)[0] if kept.is_file() else ""

    def beside(self, ending: str) -> Path:
        """A file that stands beside the model."""
        return self.path.with_name(self.path.name + ending)


def name_ending(name: str, quantize: Precision, input_size: int | None) -> str:
    """What follows a run's key in the name of its model, unlike for all that can be asked for.

    Args:
        name: a row of `formats.FORMATS`.
        quantize: in what the model keeps numbers.
        input_size: height and width of the only images that it takes; None for any.
    """
    suffix = formats.FORMATS[name].suffix
    first = next(other for other, row in formats.FORMATS.items() if row.suffix == suffix)
    parts = [
        *([] if name == first else [name]),
        *([] if quantize is FLOAT32 else [quantize.name]),
        *([] if input_size is None else [str(input_size)]),
    ]
    return "".join(f"-{part}" for part in parts) + suffix


def check(order: ExportOrder) -> None:
    """Makes sure that what is asked for goes together.

    Raises:
        UsageError: the output's name, a flag or the data do not fit.
    """
    kind, path = formats.FORMATS[order.format], order.path
    if path.suffix != kind.suffix and kind.suffix:
        hint = f"end it in {kind.suffix}, name a folder that is there, or choose another --format"
        raise UsageError(f"--output must end in {kind.suffix}", str(path), hint)
    flags = {"--input-size": order.input_size, "--quantize": order.quantize is not FLOAT32}
    if not kind.quantized and any(flags.values()):
        given = " ".join(flag for flag, value in flags.items() if value)
        able = ", ".join(name for name, row in formats.FORMATS.items() if row.quantized)
        raise UsageError(f"{given} is for --format {able}", order.format, "leave it out")
    if order.quantize.integer and order.data is None:
        raise UsageError(
            f"--quantize {order.quantize.name} looks at training images, and counts what it loses",
            "no --data",
            "name the data of the run with --data",
        )
    data = order.data
    if data and data.dataset.sha256 != order.record.spec.data_sha256:
        raise UsageError(
            "--data must be that of the run",
            f"images with sha256 {data.dataset.sha256[:12]}",
            f"{order.record.spec.key} is of {order.record.spec.data_sha256[:12]}",
        )


def present(order: ExportOrder) -> Exported | None:
    """The very model that is asked for, if it is there already."""
    try:
        done = Exported(**json.loads(order.beside(ABOUT).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    wanted = (order.record.spec.key, order.format, order.quantize.name, order.side, order.source)
    same = (done.key, done.format, done.quantize, done.input_size, done.source) == wanted
    if order.hub and not order.path.with_name("README.md").exists():
        return None  # a model of that name, but no folder for the Hub
    whole = same and order.path.exists() and fingerprint(order.path)[0] == done.sha256
    return done if whole else None


def counted(order: ExportOrder, done: Exported) -> Evaluation | None:
    """What stands beside a model of what it gets right, if it is of its run's own images."""
    judged, record = known(order.path, done.sha256), order.record
    if judged is None or not isinstance(record, RunResult):
        return None
    images = (record.spec.data_sha256, record.splits[-1], record.reported.judged.total)
    return judged if (judged.data_sha256, judged.split, judged.total) == images else None
