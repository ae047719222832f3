"""How well each class is known: recall, precision and F1, and what they come to on average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from effbench.errors import DataError
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.report.statistics import ALPHA, share_interval

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = np.ndarray


@dataclass(frozen=True)
class Rate:
    """A share, percent, with the ends of its interval at `statistics.CONFIDENCE`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassFigures:
    """One class; a rate is None where it is a share of nothing.

    Attributes:
        name: name of the class.
        images: how many images are of it.
        recall: share of its images that are taken for it.
        precision: share of it among the images that are taken for it.
        f1: the harmonic mean of the two.
    """

    name: str
    images: int
    recall: Rate | None
    precision: Rate | None
    f1: Rate | None


@dataclass(frozen=True)
class PerClass:
    """Means over the seeds of a row, of the images that it is judged by.

    The images are the same for every seed, so intervals are those of one seed's number of images:
    Wilson's, or where images come in groups, `statistics.share_interval`'s over these.

    Attributes:
        names: names of the classes.
        counts: float64 [3, classes]: how many images of each class are taken for it, are of it, and
            are taken for it rightly or wrongly.
        balanced_accuracy: mean recall of the classes that have images, percent.
        macro_f1: mean F1 of the classes that have images or are given as an answer, percent.
        roc_auc: of two classes, the area under the ROC curve of the second, 0 to 1; else None.
        average_precision: of two classes, that of the second, 0 to 1; else None.
        bounds: float64 [3, classes, 2], where images come in groups: the ends of the intervals of
            recall, of precision, and of the share that F1 grows with; 0 to 1. Else None.
    """

    names: tuple[str, ...]
    counts: Array
    balanced_accuracy: float
    macro_f1: float
    roc_auc: float | None = None
    average_precision: float | None = None
    bounds: Array | None = None

    @cached_property
    def classes(self) -> tuple[ClassFigures, ...]:
        """Every class in the order of the labels."""
        right, images, answers = self.counts
        of_recall, of_precision, of_f1 = (None,) * 3 if self.bounds is None else self.bounds
        recall = _rates(right, images, of_recall)
        precision = _rates(right, answers, of_precision)
        f1 = _f1(right, images + answers, of_f1)
        numbers = images.round().astype(int).tolist()
        return tuple(map(ClassFigures, self.names, numbers, recall, precision, f1))

    @property
    def weakest(self) -> tuple[ClassFigures, ...]:
        """The classes that have an F1, the lowest first."""
        known = ((figures.f1.value, figures) for figures in self.classes if figures.f1)
        return tuple(figures for _, figures in sorted(known, key=lambda pair: pair[0]))

    @property
    def sentence(self) -> str:
        """What the classes come to on average."""
        said = f"Balanced accuracy {self.balanced_accuracy:.2f} %, macro-F1 {self.macro_f1:.2f} %"
        if self.roc_auc is not None:
            second = self.classes[1].name
            said += (
                f"; of {second}: ROC-AUC {self.roc_auc:.4f}, "
                f"average precision {self.average_precision:.4f}"
            )
        return f"{said}."


def read(store: Store, results: Sequence[RunResult]) -> PerClass | None:
    """The figures of runs that differ by their seed only; None where predictions are missing."""
    first = results[0]
    try:
        runs = [_answers(store, result) for result in results]
        groups = _groups(store, first)
        ranked = [
            _ranked(store, result, labels)
            for result, (labels, _) in zip(results, runs, strict=True)
            if first.spec.classes == 2 and len(np.unique(labels)) == 2
        ]
    except (DataError, ValueError, IndexError):  # the last two: damaged arrays
        return None
    return of(first.classes, runs, ranked, groups)


def of(
    names: tuple[str, ...],
    runs: Sequence[tuple[Array, Array]],
    ranked: Sequence[tuple[float, float]] = (),
    groups: Array | None = None,
) -> PerClass:
    """The figures of some runs on the same images.

    Args:
        names: names of the classes.
        runs: of each seed, int [n] labels and int [n] answers.
        ranked: of each seed, the area under the ROC curve and the average precision.
        groups: int [n], the group of each image; None where each stands for itself.
    """
    counts = [_counts(len(names), *run) for run in runs]
    balanced, macro = np.mean([_means(*seed_counts) for seed_counts in counts], axis=0).tolist()
    area, average = np.mean(ranked, axis=0).tolist() if len(ranked) else (None, None)
    bounds = None if groups is None else _over_groups(len(names), runs, groups)
    return PerClass(names, np.mean(counts, axis=0), balanced, macro, area, average, bounds)


def _answers(store: Store, result: RunResult) -> tuple[Array, Array]:
    """The labels and the answers of a run, int [n] each."""
    split = result.splits[-1]
    names = (f"{split}_label", f"{split}_predicted")
    labels, predicted = store.predictions(result, *names).values()
    highest = max(labels.max(), predicted.max())
    if labels.shape != predicted.shape or highest >= result.spec.classes:
        raise ValueError("arrays that do not fit one another")
    return labels, predicted


def _groups(store: Store, result: RunResult) -> Array | None:
    """The group of each image, int [n]; None where images stand for themselves."""
    name = f"{result.splits[-1]}_group"
    label = f"{result.splits[-1]}_label"
    return store.predictions(result, label, optional=(name,)).get(name)


def _ranked(store: Store, result: RunResult, labels: Array) -> tuple[float, float]:
    """The area under the ROC curve and the average precision of the second of two classes."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    name = f"{result.splits[-1]}_probability"
    second = store.predictions(result, name)[name][:, 1].astype(np.float64)
    positive = labels == 1
    return float(roc_auc_score(positive, second)), float(average_precision_score(positive, second))


def _counts(classes: int, labels: Array, predicted: Array) -> Array:
    """One seed's `PerClass.counts`."""
    counted = (labels[labels == predicted], labels, predicted)
    return np.stack([np.bincount(array, minlength=classes) for array in counted])


def _means(right: Array, images: Array, answers: Array) -> tuple[float, float]:
    """Balanced accuracy and macro-F1 of one seed, percent, as scikit-learn counts them."""
    known, seen = images > 0, images + answers > 0
    f1 = 2 * right[seen] / (images + answers)[seen]
    return 100 * float((right[known] / images[known]).mean()), 100 * float(f1.mean())


def _over_groups(classes: int, runs: Sequence[tuple[Array, Array]], groups: Array) -> Array:
    """`PerClass.bounds`: images of one group are alike, so groups are what was sampled."""
    from scipy.sparse import coo_array

    _, group = np.unique(groups, return_inverse=True)
    shape = (int(group.max()) + 1, classes)

    def counted(chosen: Sequence[tuple[Array, Array]]) -> csc_array:
        """How many of these images each group has of each class, mean over seeds."""
        rows, columns = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
        cells = np.full(len(rows), 1 / len(runs)), (rows, columns)
        return coo_array(cells, shape=shape).tocsc()

    hits = [labels == predicted for labels, predicted in runs]
    right = counted([(group[hit], run[0][hit]) for run, hit in zip(runs, hits, strict=True)])
    images = counted([(group, labels) for labels, _ in runs])
    answers = counted([(group, predicted) for _, predicted in runs])
    totals = (images, answers, images + answers - right)
    return np.array([[_share(right, of, label) for label in range(classes)] for of in totals])


def _share(parts: csc_array, sizes: csc_array, label: int) -> tuple[float, float]:
    """The interval of a class's share over the groups that have some of it."""
    part, size = (counts[:, [label]].toarray().ravel() for counts in (parts, sizes))
    known = size > 0
    return share_interval(part[known], size[known]) if known.any() else (0.0, 1.0)


def _rates(counts: Array, totals: Array, bounds: Array | None) -> list[Rate | None]:
    """Shares with Wilson's intervals or those of `bounds` [n, 2]; None for shares of nothing."""
    from statsmodels.stats.proportion import proportion_confint

    known = totals > 0
    safe = np.where(known, totals, 1)
    low, high = proportion_confint(counts, safe, ALPHA, "wilson") if bounds is None else bounds.T
    percent = 100 * np.stack([counts / safe, low, high], axis=1)
    return [
        Rate(*values) if total else None
        for values, total in zip(percent.tolist(), known, strict=True)
    ]


def _f1(right: Array, both: Array, bounds: Array | None) -> list[Rate | None]:
    """F1 grows with the share J of the right among all that are of a class or taken for it.

    Of these images J is a share like any other, with an interval like others; F1 is 2 J / (1 + J).

    Args:
        right: images that are of the class and taken for it.
        both: images of the class, and images that are taken for it, added up.
        bounds: as for `_rates`, of J.
    """

    def from_share(percent: float) -> float:
        return 200 * percent / (100 + percent)

    return [
        share and Rate(*map(from_share, (share.value, share.low, share.high)))
        for share in _rates(right, both - right, bounds)
    ]
