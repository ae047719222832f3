"""Every image of a split by an exported model's own runtime, counted, and set beside its run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from effbench.data.inspecting.listing import some
from effbench.data.splits import Dataset, Split
from effbench.errors import DataError, UsageError
from effbench.export import formats, images, numbers
from effbench.export.evaluation import AgainstRun, Disagreement, Evaluation, fingerprint
from effbench.export.opened import OpenModel
from effbench.hardware import machine
from effbench.progress import Report, Step
from effbench.records.record import RunResult
from effbench.records.store import Store

# Images of which a record names what the run and the model say.
NAMED = 50


@dataclass(frozen=True)
class Run:
    """A finished run and where its predictions are."""

    store: Store
    result: RunResult


@dataclass(frozen=True)
class Held:
    """The images that a model is judged by.

    Attributes:
        name: of the dataset.
        sha256: its hash.
        part: "test" or "validation".
        split: the images.
        classes: the names of the labels.
    """

    name: str
    sha256: str
    part: str
    split: Split
    classes: tuple[str, ...]


def held(name: str, dataset: Dataset, part: str | None) -> Held:
    """A split of a dataset; by default the test images, or those of validation if there are none.

    Raises:
        UsageError: there is no such split.
    """
    parts = {"train": dataset.train, **dataset.held_out}
    part = part or [*parts][-1]
    if part not in parts:
        raise UsageError(f"{name} has no such split", part, f"choose from {', '.join(parts)}")
    return Held(name, dataset.sha256, part, parts[part], dataset.classes)


def evaluate(
    path: Path,
    judged: Held,
    report: Report,
    run: Run | None = None,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Scores a model, and compares it with its run.

    Raises:
        EffbenchError: there is no such model.
        DataError: the model is of other classes, or the run is of other data.
    """
    kind = formats.kind(path)
    model = formats.read(path)
    if model.names != judged.classes:
        raise DataError(
            f"the model and {judged.name} must have the same classes",
            f"{some(model.names)}, not {some(judged.classes)}",
            "name the data that it was trained on with --data",
        )
    if run and (run.result.spec.data_sha256, judged.part in run.result.splits) != (
        *(judged.sha256, True),
    ):
        raise DataError(
            f"{run.result.spec.key} must be of the same data and split",
            f"{judged.part} of {judged.name} with sha256 {judged.sha256[:12]}",
            "name the data that it was trained on with --data, or leave out --run",
        )
    probabilities, seconds = _scored(model, judged.split, report)
    labels = judged.split.labels.astype(int)
    true = probabilities[np.arange(len(labels)), labels]
    rank = (probabilities > true[:, None]).sum(axis=1)
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    interval = binomtest(correct, len(labels)).proportion_ci(method="wilson")
    digest, size = fingerprint(path)
    return Evaluation(
        model=path.name,
        format=kind,
        quantize=numbers.of(path, kind),
        sha256=digest,
        size=size,
        data=judged.name,
        data_sha256=judged.sha256,
        split=judged.part,
        correct=correct,
        top5_correct=max(correct, int((rank < 5).sum())),
        total=len(labels),
        low=float(interval.low),
        high=float(interval.high),
        # No probability is 0, but in few bits.
        loss=float(-np.log(np.maximum(true.astype(np.float64), 1e-7)).mean()),
        images_per_second=len(labels) / seconds,
        runtime=model.runtime,
        device=machine.cpu_name(),
        against=_against(run, judged, probabilities) if run else None,
        notes=notes,
    )


def _scored(model: OpenModel, split: Split, report: Report) -> tuple[np.ndarray, float]:
    """Probabilities float32 [images, classes], and the seconds that the model took for them."""
    parts: list[np.ndarray] = []
    seconds, done = 0.0, 0
    fitted = (model.fitted(image) for image in images.of(split))
    for batch in images.batches(fitted):
        if not parts:
            model.scores(batch)  # the first call compiles
        start = time.perf_counter()
        parts.append(model.scores(batch))
        seconds += time.perf_counter() - start
        done += len(batch)
        report(Step("evaluate", done, len(split.labels), "images"))
    return np.concatenate(parts), seconds


def _against(run: Run, judged: Held, probabilities: np.ndarray) -> AgainstRun:
    part = judged.part
    names = (f"{part}_probability", f"{part}_predicted", f"{part}_label")
    arrays = run.store.predictions(run.result, *names)
    by_run, predicted, labels = (arrays[name] for name in names)
    if not np.array_equal(labels, judged.split.labels):
        raise DataError(
            f"{run.result.spec.key} must be of the same images",
            f"{len(labels):,} of {part}, not these {len(judged.split.labels):,}",
            "name the data that it was trained on with --data, or leave out --run",
        )
    said = probabilities.argmax(axis=1)
    right, ours = predicted == labels, said == labels
    only_run, only_model = int((right & ~ours).sum()), int((ours & ~right).sum())
    differ = np.flatnonzero(said != predicted)
    classes = judged.classes
    return AgainstRun(
        key=run.result.spec.key,
        correct=int(right.sum()),
        largest_difference=float(np.abs(probabilities - by_run.astype(np.float32)).max()),
        only_run=only_run,
        only_model=only_model,
        p=float(binomtest(only_run, only_run + only_model).pvalue)
        if only_run + only_model
        else 1.0,
        disagree=len(differ),
        disagreements=tuple(
            Disagreement(
                *(int(image), classes[labels[image]]),
                *(classes[predicted[image]], float(by_run[image, predicted[image]])),
                *(classes[said[image]], float(probabilities[image, said[image]])),
            )
            for image in differ[:NAMED]
        ),
    )
