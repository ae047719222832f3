"""A run's model as a file or folder that needs nothing else; checked before it gets its name."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from effbench.data import datasets
from effbench.errors import EffbenchError
from effbench.export import classifier, counting, formats, hub_folder, images, load, model_card
from effbench.export.classifier import Classifier
from effbench.export.evaluation import EVALUATED, Evaluation, fingerprint, known
from effbench.export.opened import OpenModel
from effbench.export.orders import ABOUT, CARD, Exported, ExportOrder, check, counted
from effbench.export.staging import Staging, staged
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import tf
from effbench.progress import Report, Step
from effbench.records.record import Record, RunResult

# Height and width of the images it is checked with: those of training, and one of neither side.
SIZES = ((32, 32), (32, 32), (32, 32), (67, 41))
# The share of images that a model may lose against its run: a point.
MOST_LOST = 0.01
# Training images that show the range of values.
SHOWN = 100


def export(order: ExportOrder, report: Report) -> tuple[Exported, Evaluation | None]:
    """Writes a run's selected network, compares it with the run's own, and names it.

    Beside it come a record of that, a card for its readers, and with the data an evaluation; all
    of them get their names, or none. An evaluation of other bytes that had its name is gone.

    Raises:
        UsageError: the output's name or what is asked for does not fit the format, or a package
            is missing.
        EffbenchError: there is something else in its place, or no model of the run, or what was
            written gives other results than the run's network.
        DiskError: it cannot be written; nothing is left behind.
    """
    kind = formats.FORMATS[order.format]
    check(order)
    _vacant(order)
    devices.connect("cpu")
    report(Step("build"))
    network = load.load(order.store, order.record, order.weights_dir, report)
    model = classifier.build(network, _class_names(order.record))
    judged = None
    with staged(order.path.parent) as staging:
        temporary = staging.new(order.path)
        report(Step("write"))
        with _disk():
            notes = kind.write(model, temporary, _options(order, model)) or ()
        report(Step("check"))
        difference = _difference(network, model, temporary, order)
        if order.data and isinstance(order.record, RunResult):
            judged = _judged(order, order.record, temporary, notes, report)
        done = Exported(
            *(order.record.spec.key, order.format, order.quantize.name, order.side, order.source),
            *(*fingerprint(temporary), difference, len(SIZES), notes),
        )
        _describe(order, done, judged, staging)
    return done, judged


def judge(order: ExportOrder, done: Exported, report: Report) -> Evaluation | None:
    """What a model that is there gets right: counted, unless that was done and stands beside it.

    Returns:
        None where no data are named.

    Raises:
        EffbenchError: it loses too much.
        DiskError: the record cannot be written; nothing is left behind.
    """
    judged = counted(order, done)
    if order.data is None or (judged and judged.against):
        return judged
    assert isinstance(order.record, RunResult)
    judged = _judged(order, order.record, order.path, done.notes, report)
    with staged(order.path.parent) as staging:
        _describe(order, done, judged, staging)
    return judged


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
    """Scores a model.

    Raises:
        EffbenchError: it loses too much.
    """
    assert order.data is not None
    held = counting.held(order.data.name, order.data.dataset, None)
    run = counting.Run(order.store, record)
    judged = counting.evaluate(path, held, report, run, notes)
    assert judged.against is not None
    if -judged.gained > MOST_LOST and not order.allow_loss:
        raise EffbenchError(
            f"a model may lose a point of {held.part} accuracy against its run",
            f"{-100 * judged.gained:.2f} points: {judged.accuracy:.2%} of {judged.total:,} images, "
            f"p = {judged.against.p:.2g} (McNemar)",
            "nothing was written; add --allow-loss, or leave out --quantize",
        )
    return judged


def _describe(
    order: ExportOrder, done: Exported, judged: Evaluation | None, staging: Staging
) -> None:
    """Writes what stands beside a model."""
    if judged:
        staging.write(order.beside(EVALUATED), judged.text().encode())
    elif known(order.path, done.sha256) is None:
        staging.remove(order.beside(EVALUATED))
    card = model_card.text(order, done.sha256, judged or counted(order, done))
    files = {order.beside(ABOUT).name: json.dumps(asdict(done), indent=1) + "\n"}
    files |= hub_folder.files(order, card) if order.hub else {order.beside(CARD).name: card}
    for name, content in files.items():
        staging.write(order.path.with_name(name), content.encode())


def _class_names(record: Record) -> tuple[str, ...]:
    """The names of the classes; of photos, those that the record of a finished run holds."""
    if isinstance(record, RunResult):
        return record.classes
    return datasets.classes(record.spec.data, record.spec.classes)


def _vacant(order: ExportOrder) -> None:
    path = order.path
    if not os.path.lexists(path):
        return
    flag = "--to-hub-folder" if order.hub else "--output"
    if not order.force:
        raise EffbenchError(
            "the output is there already", str(path), f"add --force, or name another with {flag}"
        )
    models = any(row.has(path) for row in formats.FORMATS.values())
    if path.is_dir() and any(path.iterdir()) and not models:
        raise EffbenchError(
            "--force takes the place of a model only",
            f"{path} is a folder of something else",
            f"name another with {flag}",
        )


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
    tolerance = max(formats.FORMATS[order.format].weights.tolerance, order.quantize.tolerance)
    if not largest <= tolerance:  # NaN is not
        raise EffbenchError(
            f"probabilities must be those of the run's network within {tolerance:g}",
            f"{largest:.2g} off",
            "nothing was written; try another --format, and report this as a bug",
        )
    return largest
