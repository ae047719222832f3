"""A run's model as a file or folder that needs nothing else; checked before it gets its name."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.data import datasets
from effbench.errors import EffbenchError, UsageError
from effbench.export import classifier, formats, load
from effbench.files import sync, writing
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import tf
from effbench.progress import Report, Step
from effbench.records.record import Record, RunResult
from effbench.records.store import Store

# Between probabilities. Float32 differs by 1e-6; a wrong resize, rescaling or layer by far more.
TOLERANCE = 1e-3
# Height and width of the images it is checked with: those of training, and one of neither side.
SIZES = ((32, 32), (32, 32), (32, 32), (67, 41))


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file or folder.
        size: bytes.
        difference: the largest difference between a probability of it and of the run's network.
        images: how many images were compared.
    """

    path: Path
    size: int
    difference: float
    images: int


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
    """

    store: Store
    record: Record
    format: str
    output: Path | None = None
    force: bool = False
    weights_dir: Path | None = None

    @property
    def path(self) -> Path:
        """Where it is to be."""
        suffix = formats.FORMATS[self.format].suffix
        return self.output or Path(f"{self.record.spec.key}{suffix}")


def export(order: ExportOrder, report: Report) -> Exported:
    """Writes a run's selected network, compares it with the run's own, and names it.

    Raises:
        UsageError: the output's name does not fit the format.
        EffbenchError: there is something else in its place, or no model of the run, or what was
            written gives other results than the run's network.
        DiskError: it cannot be written; nothing is left behind.
    """
    kind = formats.FORMATS[order.format]
    path = order.path
    if path.suffix != kind.suffix and kind.suffix:
        hint = f"end its name in {kind.suffix}, or choose another --format"
        raise UsageError(f"--output must end in {kind.suffix}", str(path), hint)
    _vacant(path, order.force)
    devices.connect("cpu")
    report(Step("build"))
    network = load.load(order.store, order.record, order.weights_dir, report)
    model = classifier.build(network)
    names = _class_names(order.record)
    with _beside(path) as temporary:
        report(Step("write"))
        with _disk():
            kind.write(model, names, temporary)
        report(Step("check"))
        difference = _difference(network, names, temporary)
        size = sum(written.stat().st_size for written in _all(temporary))
    return Exported(path, size, difference, len(SIZES))


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
    if path.is_dir() and any(path.iterdir()) and not formats.FORMATS["savedmodel"].has(path):
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
            for written in _all(temporary):
                sync(written)
            if path.is_dir() and temporary.is_dir():  # no rename replaces a folder that has files
                path.rename(Path(folder) / "old")
            temporary.replace(path)
            sync(path.parent)


def _all(path: Path) -> list[Path]:
    return [path, *path.rglob("*")]


@contextmanager
def _disk() -> Iterator[None]:
    """TensorFlow's words for a full disk, and for a file that may not grow, as everyone else's."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError) as error:
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        number = errno.ENOSPC if full else errno.EFBIG
        raise OSError(number, os.strerror(number)) from error


def _difference(network: load.Network, names: tuple[str, ...], path: Path) -> float:
    """The largest difference between probabilities of what was written and of the run's network.

    Raises:
        EffbenchError: it is too large.
    """
    classify = formats.read(path)
    random = np.random.default_rng(0)
    largest = 0.0
    for size in SIZES:
        image = random.integers(0, 256, (*size, 3), np.uint8)
        exported = classify(image)
        assert tuple(exported) == names
        expected = network.probabilities(image[None])[0]
        largest = float(
            np.maximum(largest, np.abs(np.array([*exported.values()]) - expected).max())
        )
    if not largest <= TOLERANCE:  # NaN is not
        raise EffbenchError(
            f"probabilities must be those of the run's network within {TOLERANCE:g}",
            f"{largest:.2g} off",
            "nothing was written; try another --format, and report this as a bug",
        )
    return largest
