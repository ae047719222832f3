"""Which images the runs of a section got wrong, and what they took them for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array

from effbench.errors import DataError, EffbenchError
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.report.sections import Section

Array = np.ndarray

# How many confused pairs of classes, and how many missed images, are listed.
PAIRS_LISTED = 10
IMAGES_LISTED = 24


@dataclass(frozen=True)
class Confused:
    """Images of one class taken for another: `share` of all its images, 0 to 1."""

    label: int
    answer: int
    share: float


@dataclass(frozen=True)
class Missed:
    """An image that runs got wrong.

    Attributes:
        index: its position in the official files.
        label: its class.
        wrong: how many runs missed it.
        answer: the most frequent wrong answer.
        agree: how many runs gave it.
        probability: that of the true class, mean over all runs, 0 to 1.
        name: that of its file; "" where it has none of its own.
    """

    index: int
    label: int
    wrong: int
    answer: int
    agree: int
    probability: float
    name: str = ""


@dataclass(frozen=True)
class Mistakes:
    """What the runs of a section got wrong.

    Attributes:
        confusions: int64 [true class, answer] for each row, summed over seeds, sparse as most
            classes are never taken for most others; None without predictions.
        missed: the images that most runs missed; among equals, those missed most surely.
        always: number of images that every run missed.
        runs: how many were counted.
        remarks: what is left out, one line each.
    """

    confusions: tuple[csr_array | None, ...]
    missed: tuple[Missed, ...]
    always: int
    runs: int
    remarks: tuple[str, ...]

    @property
    def pairs(self) -> tuple[Confused, ...]:
        """The classes most often confused over all rows, the worst first."""
        present = [confusion for confusion in self.confusions if confusion is not None]
        return most_confused(reduce(add, present)) if present else ()


def most_confused(counts: csr_array) -> tuple[Confused, ...]:
    """The most frequent confusions of a matrix, by share of the true class."""
    cells = normalised(counts).tocoo()
    wrong = (cells.row != cells.col) & (cells.data > 0)
    labels, answers, shares = cells.row[wrong], cells.col[wrong], cells.data[wrong]
    worst = np.lexsort((answers, labels, -shares))[:PAIRS_LISTED]
    return tuple(
        Confused(int(labels[cell]), int(answers[cell]), float(shares[cell])) for cell in worst
    )


def normalised(counts: csr_array) -> csr_array:
    """A confusion matrix with rows that sum to 1, or to 0 for a class without images."""
    images = np.maximum(counts.sum(axis=1), 1)
    return (diags_array(1 / images) @ counts).tocsr()


def find(store: Store, section: Section) -> Mistakes:
    """The mistakes of a section, from the predictions beside its records."""
    answers = [_read(store, row.results) for row in section.rows]
    first = next(filter(None, answers), None)
    fitting = [
        answer if first and answer and answer.same_images(first) else None for answer in answers
    ]
    present = [answer for answer in fitting if answer]
    remarks = tuple(
        f"{label}: left out, its predictions are missing, damaged, or of other images or rules."
        for label, answer in zip(section.labels, fitting, strict=True)
        if answer is None
    )
    confusions = tuple(answer.confusion() if answer else None for answer in fitting)
    if not present:
        return Mistakes(confusions, (), 0, 0, remarks)
    whole = _joined(present)
    return Mistakes(confusions, *whole.missed(), len(whole.predicted), remarks)


@dataclass(frozen=True)
class _Answers:
    """What runs said of the same images.

    Attributes:
        labels: [images].
        index: positions in the official files, [images].
        predicted: [runs, images].
        probability: that of the true class, [runs, images].
        classes: number of classes.
        names: names of the images' files, [images]; empty where they have none.
    """

    labels: Array
    index: Array
    predicted: Array
    probability: Array
    classes: int
    names: Sequence[str]

    def same_images(self, other: _Answers) -> bool:
        """Whether the images are the other's."""
        return np.array_equal(self.labels, other.labels) and np.array_equal(self.index, other.index)

    def confusion(self) -> csr_array:
        """Counts over all runs, [true class, answer]."""
        cells = np.tile(self.labels, len(self.predicted)), self.predicted.ravel()
        ones = np.ones(self.predicted.size, np.int64)
        return coo_array((ones, cells), shape=(self.classes, self.classes)).tocsr()

    def missed(self) -> tuple[tuple[Missed, ...], int]:
        """Images most often wrong, the worst first, and how many are always wrong."""
        misses = self.predicted != self.labels
        wrong = misses.sum(axis=0)
        probability = self.probability.mean(axis=0, dtype=np.float64)
        order = np.lexsort((self.index, probability, -wrong))[:IMAGES_LISTED]
        missed = []
        for image in order[wrong[order] > 0]:
            answers, votes = np.unique(self.predicted[misses[:, image], image], return_counts=True)
            missed.append(
                Missed(
                    index=int(self.index[image]),
                    label=int(self.labels[image]),
                    wrong=int(wrong[image]),
                    answer=int(answers[votes.argmax()]),
                    agree=int(votes.max()),
                    probability=float(probability[image]),
                    name=self.names[image] if len(self.names) else "",
                )
            )
        return tuple(missed), int((wrong == len(self.predicted)).sum())


def _joined(parts: Sequence[_Answers]) -> _Answers:
    """All runs of several parts about the same images."""
    first = parts[0]
    if any(not part.same_images(first) for part in parts):
        raise ValueError("other images")
    return _Answers(
        first.labels,
        first.index,
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.probability for part in parts]),
        first.classes,
        first.names,
    )


def _read(store: Store, results: Sequence[RunResult]) -> _Answers | None:
    """The answers of runs that differ by their seed only; None where they cannot be told."""
    try:
        return _joined([_run(store, result) for result in results])
    except (EffbenchError, ValueError, IndexError):  # the last two: damaged arrays
        return None


def _run(store: Store, result: RunResult) -> _Answers:
    split, classes = result.splits[-1], result.spec.classes
    names = (f"{split}_{name}" for name in ("label", "index", "predicted", "probability"))
    labels, index, predicted, probability = store.predictions(result, *names).values()
    if not labels.shape == index.shape == predicted.shape or predicted.max() >= classes:
        raise ValueError("arrays that do not fit one another")
    of_true = probability[np.arange(len(labels)), labels]
    files = _file_names(store, result, split)
    return _Answers(labels, index, predicted[None], of_true[None], classes, files)


def _file_names(store: Store, result: RunResult, split: str) -> Sequence[str]:
    if not result.images.classes:  # of data that come in one file
        return ()
    name = f"{split}_name"
    try:
        names: list[str] = store.predictions(result, name)[name].tolist()
    except DataError:
        return ()
    return names
