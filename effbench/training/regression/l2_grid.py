"""A grid of L2: a regression is solved for each, and the most accurate one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from effbench.config.recipe_numbers import Recipe
from effbench.data import folds
from effbench.records.l2_search import PAST, L2Search, L2Value
from effbench.records.scores import Scores, summed
from effbench.training.class_weights import weights
from effbench.training.evaluate import score
from effbench.training.regression.logistic_regression import Regression, Solution

# With fewer validation images of a class, a cross-validation chooses.
ENOUGH = 5
FOLDS = 5


@dataclass(frozen=True)
class Examples:
    """Some images.

    Attributes:
        features: float32 [n, width], finite.
        labels: int [n].
        groups: int [n], or None where each image stands for itself.
    """

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> Examples:
        """Those of a mask, bool [n]."""
        groups = None if self.groups is None else self.groups[chosen]
        return Examples(self.features[chosen], self.labels[chosen], groups)

    def joined(self, others: Examples) -> Examples:
        """These, then the others; both have groups, or neither."""
        groups = None
        if self.groups is not None and others.groups is not None:
            groups = np.concatenate([self.groups, others.groups])
        return Examples(
            np.concatenate([self.features, others.features]),
            np.concatenate([self.labels, others.labels]),
            groups,
        )


@dataclass(frozen=True)
class ProbeHead:
    """A solution as it is kept: float32 [width, classes] and float32 [classes]."""

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """From float32 [n, width] to float32 [n, classes]."""
        return features @ self.kernel + self.bias

    def scores(self, examples: Examples) -> Scores:
        """What it gets right.

        Raises:
            NonFiniteError: a logit is not finite.
        """
        return score(self.logits(examples.features), examples.labels)


@dataclass(frozen=True)
class L2Task:
    """What an L2 is chosen for.

    Attributes:
        train: the training images; each class is among them.
        validation: the validation images; each class is among them, too.
        classes: number of classes.
        recipe: has the grid, and says what the features and the classes are scaled by.
        threads: how many the solver may use.
        told: is told how many solutions there are, of how many, and what the last one is worth.
    """

    train: Examples
    validation: Examples
    classes: int
    recipe: Recipe
    threads: int
    told: Callable[[int, int, str], None]


def grid(recipe: Recipe) -> list[float]:
    """The values of L2 that a recipe asks for, the strongest first."""
    return [float(l2) for l2 in np.geomspace(recipe.l2_to, recipe.l2_from, recipe.l2_values)]


def search(task: L2Task) -> tuple[L2Search, ProbeHead]:
    """Solves the regression for the whole grid, and chooses.

    The heads train on the training images. The validation images choose the L2; where there are
    fewer than `ENOUGH` of a class, a cross-validation of training and validation images does. If
    they choose, the grid ends where weaker L2 only fits the training images better.

    Raises:
        NonFiniteError: a logit is not finite.
    """
    folded = _folded(task)
    count = folded.count if folded else 0
    total = (1 + count) * task.recipe.l2_values
    heads: list[ProbeHead] = []
    values: list[L2Value] = []
    task.told(0, total, "")
    for solution, head in _path(task, task.train):
        heads.append(head)
        values.append(
            L2Value(
                solution.l2,
                head.scores(task.train),
                head.scores(task.validation),
                solution.gradient_norm,
                solution.iterations,
                solution.converged,
            )
        )
        if folded is None and L2Search(tuple(values)).past:
            task.told(
                total, total, f"the validation loss only rises from L2 {values[-PAST].l2:.2g}"
            )
            break
        accuracy = f"{values[-1].validation.accuracy:.2%}"
        task.told(len(values), total, f"L2 {solution.l2:.2g}: val acc {accuracy}")
    if folded:
        values = _judged_by_folds(task, values, folded)
    result = L2Search(tuple(values), count)
    return result, heads[values.index(result.chosen)]


def _path(task: L2Task, examples: Examples) -> Iterator[tuple[Solution, ProbeHead]]:
    """The solution for each L2 of the grid on some images."""
    class_weights = weights(task.recipe.class_weights, examples.labels, task.classes)
    regression = Regression(
        examples.features,
        examples.labels,
        class_weights,
        standardize=task.recipe.standardize,
        threads=task.threads,
    )
    for solution in regression.solutions(grid(task.recipe)):
        kernel, bias = solution.kernel.astype(np.float32), solution.bias.astype(np.float32)
        yield solution, ProbeHead(kernel, bias)


@dataclass(frozen=True)
class _Folded:
    """Images in folds.

    Attributes:
        examples: the images.
        fold_of: the fold of each, int [n].
    """

    examples: Examples
    fold_of: np.ndarray

    @property
    def count(self) -> int:
        """How many folds there are."""
        return int(self.fold_of.max()) + 1

    def turns(self) -> Iterator[tuple[Examples, Examples]]:
        """For each fold, the images that are not in it, and those that are."""
        for fold in range(self.count):
            inside = self.fold_of == fold
            yield self.examples.take(~inside), self.examples.take(inside)


def _folded(task: L2Task) -> _Folded | None:
    """Training and validation images in folds; None where validation images are enough."""
    judges = np.bincount(task.validation.labels, minlength=task.classes)
    if judges.min() >= ENOUGH:
        return None
    examples = task.train.joined(task.validation)
    limits = [FOLDS, np.bincount(examples.labels).max()]
    if examples.groups is not None:
        limits.append(len(np.unique(examples.groups)))
    return _Folded(examples, folds.stratified(min(limits), examples.labels, examples.groups))


def _judged_by_folds(task: L2Task, values: list[L2Value], folded: _Folded) -> list[L2Value]:
    """The values with the scores of a cross-validation, in which every image counts once."""
    judged: list[list[Scores]] = [[] for _ in values]
    solved = [value.converged for value in values]
    done, total = len(values), (1 + folded.count) * len(values)
    for fold, (outside, inside) in enumerate(folded.turns(), 1):
        for index, (solution, head) in enumerate(_path(task, outside)):
            judged[index].append(head.scores(inside))
            solved[index] &= solution.converged
            done += 1
            task.told(done, total, f"fold {fold}, L2 {solution.l2:.2g}")
    return [
        replace(value, validation=summed(scores), converged=converged)
        for value, scores, converged in zip(values, judged, solved, strict=True)
    ]
