"""A run's model as a file or folder that needs nothing else; checked before it gets its name."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from effbench.data import datasets
from effbench.data.splits import Dataset
from effbench.errors import EffbenchError, UsageError
from effbench.export import classifier, evaluation, formats, images, load, model_card
from effbench.export.classifier import Classifier
from effbench.export.evaluation import Evaluation, fingerprint
from effbench.export.opened import OpenModel
from effbench.export.quantization import FLOAT32, Precision
from effbench.files import sync, write_atomically, writing
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import tf
from effbench.progress import Report, Step
from effbench.records.record import Record, RunResult
from effbench.records.store import Store

# Height and width of the images it is checked with: those of training, and one of neither side.
SIZES = ((32, 32), (32, 32), (32, 32), (67, 41))
# The share of images that a model may lose against its run: a point.
MOST_LOST = 0.01
# Training images that show the range of values.
SHOWN = 100
# What the names of files beside a model add to its own.
ABOUT, EVALUATED, CARD = ".json", ".evaluation.json", ".README.md"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        key: of the run.
        format: a row of `formats.FORMATS`.
        quantize: a row of `quantization.PRECISIONS`.
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

    @property
    def path(self) -> Path:
        """Where it is to be."""
        suffix = formats.FORMATS[self.format].suffix
        return self.output or Path(f"{self.record.spec.key}{suffix}")

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


def export(order: ExportOrder, report: Report) -> tuple[Exported, Evaluation | None]:
    """Writes a run's selected network, compares it with the run's own, and names it.

    Beside it come a record of that, a card for its readers, and with the data an evaluation.

    Raises:
        UsageError: the output's name or what is asked for does not fit the format, or a package
            is missing.
        EffbenchError: there is something else in its place, or no model of the run, or what was
            written gives other results than the run's network.
        DiskError: it cannot be written; nothing is left behind.
    """
    kind = formats.FORMATS[order.format]
    path = order.path
    _possible(order)
    _vacant(path, order.force)
    devices.connect("cpu")
    report(Step("build"))
    network = load.load(order.store, order.record, order.weights_dir, report)
    model = classifier.build(network, _class_names(order.record))
    judged = None
    with _beside(path) as temporary:
        report(Step("write"))
        with _disk():
            notes = kind.write(model, temporary, _options(order, model)) or ()
        report(Step("check"))
        difference = _difference(network, model, temporary, order)
        if order.data and isinstance(order.record, RunResult):
            judged = _judged(order, order.record, temporary, notes, report)
    digest, size = fingerprint(path)
    spec = order.record.spec
    done = Exported(
        *(spec.key, order.format, order.quantize.name, order.side, order.source),
        *(digest, size, difference, len(SIZES), notes),
    )
    _describe(order, done, judged)
    return done, judged


def equal(order: ExportOrder) -> bool:
    """Whether the very model that is asked for is there already."""
    about = order.path.with_name(order.path.name + ABOUT)
    try:
        known = Exported(**json.loads(about.read_bytes()))
    except (OSError, ValueError, TypeError):
        return False
    wanted = (order.record.spec.key, order.format, order.quantize.name, order.side, order.source)
    same = (known.key, known.format, known.quantize, known.input_size, known.source) == wanted
    return same and order.path.exists() and fingerprint(order.path)[0] == known.sha256


def _possible(order: ExportOrder) -> None:
    kind, path = formats.FORMATS[order.format], order.path
    if path.suffix != kind.suffix and kind.suffix:
        hint = f"end its name in {kind.suffix}, or choose another --format"
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


def _options(order: ExportOrder, model: Classifier) -> formats.Options:
    shown: tuple[np.ndarray, ...] = ()
    if order.quantize.integer and order.data and order.side:
        taker = OpenModel((), lambda images: images, "", order.side)
        if model.geometry:
            taker = OpenModel((), lambda images: images, "", order.side, model.geometry)
        shown = images.fitted(order.data.dataset.train, taker, SHOWN)
    return formats.Options(order.side, order.quantize, shown)


def _judged(
    order: ExportOrder, record: RunResult, path: Path, notes: tuple[str, ...], report: Report
) -> Evaluation:
    """Scores what was written.

    Raises:
        EffbenchError: it loses too much.
    """
    assert order.data is not None
    held = evaluation.held(order.data.name, order.data.dataset, None)
    run = evaluation.Run(order.store, record)
    judged = evaluation.evaluate(path, held, report, run, order.quantize.name, notes)
    if -judged.gained > MOST_LOST and not order.allow_loss:
        raise EffbenchError(
            f"a model may lose a point of {held.part} accuracy against its run",
            f"{-100 * judged.gained:.2f} points: {judged.accuracy:.2%} of {judged.total:,} images",
            "nothing was written; add --allow-loss, or leave out --quantize",
        )
    return judged


def _describe(order: ExportOrder, done: Exported, judged: Evaluation | None) -> None:
    """Writes what stands beside a model."""
    path = order.path
    if judged:
        judged.save(path.with_name(path.name + EVALUATED))
    card = model_card.text(
        order.record, done.format, path.name, done.sha256, judged, done.input_size
    )
    write_atomically(path.with_name(path.name + CARD), card.encode())
    about = json.dumps(asdict(done), indent=1) + "\n"
    write_atomically(path.with_name(path.name + ABOUT), about.encode())


def _class_names(record: Record) -> tuple[str, ...]:
    """The names of the classes; of photos, those that the record of a finished run holds."""
    if isinstance(record, RunResult):
        return record.classes
    return datasets.classes(record.spec.data, record.spec.classes)


def _vacant(path: Path, force: bool) -> None:
    if not os.path.lexists(path):
        return
    if not force:
        raise EffbenchError(
            "the output is there already", str(path), "add --force, or name another with --output"
        )
    models = any(row.has(path) for row in formats.FORMATS.values())
    if path.is_dir() and any(path.iterdir()) and not models:
        raise EffbenchError(
            "--force takes the place of a model only",
            f"{path} is a folder of something else",
            "name another with --output",
        )


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Where something is written that gets the name `path` if all goes well."""
    name, path = path.name, path.resolve()  # a link stays one
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{name[:100]}.") as folder:
            temporary = Path(folder) / name
            yield temporary
            for written in (temporary, *temporary.rglob("*")):
                sync(written)
            if path.is_dir() and temporary.is_dir():  # no rename replaces a folder that has files
                path.rename(Path(folder) / "old")
            temporary.replace(path)
            sync(path.parent)


@contextmanager
def _disk() -> Iterator[None]:
    """TensorFlow's words for a full disk, and for a file that may not grow, as everyone else's.

    OpenVINO's are those of C++, which do not say what was wrong.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "iostream error" not in str(error):
            raise
        limited = isinstance(error, tf.errors.OutOfRangeError)
        number = errno.EFBIG if limited else errno.ENOSPC
        raise OSError(number, os.strerror(number)) from error


def _difference(network: load.Network, model: Classifier, path: Path, order: ExportOrder) -> float:
    """The largest difference between probabilities of what was written and of the run's network.

    Raises:
        EffbenchError: it is too large.
    """
    written = formats.read(path)
    random = np.random.default_rng(0)
    largest = 0.0
    for size in SIZES:
        image = written.fitted(random.integers(0, 256, (*size, 3), np.uint8))
        exported = written.classify(image)
        assert tuple(exported) == model.names
        expected = network.probabilities(image[None])[0]
        largest = float(
            np.maximum(largest, np.abs(np.array([*exported.values()]) - expected).max())
        )
    tolerance = max(formats.FORMATS[order.format].tolerance, order.quantize.tolerance)
    if not largest <= tolerance:  # NaN is not
        raise EffbenchError(
            f"probabilities must be those of the run's network within {tolerance:g}",
            f"{largest:.2g} off",
            "nothing was written; try another --format, and report this as a bug",
        )
    return largest
