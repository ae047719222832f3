"""Images in folds, each with about the same share of every class; always the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from effbench.data.splits import SPLIT_SEED, Array, Dataset, Split


def stratified(count: int, labels: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """The fold of each image, 0 to below `count`: int [n]; no group is in two folds.

    A class of fewer images than folds is not in every fold.

    Args:
        count: number of folds; no more than the largest class has images, or than there are groups.
        labels: int or text [n].
        groups: int [n], or None where each image stands for itself.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    numbers = np.empty(len(labels), int)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of small classes
        folds = kind(count, shuffle=True, random_state=SPLIT_SEED)
        for number, (_, inside) in enumerate(folds.split(labels, labels, groups)):
            numbers[inside] = number
    return numbers


def pooled(dataset: Dataset) -> Dataset:
    """All images, in the order of the splits, as each of the splits; without their pixels.

    `index` is their position in this order.
    """
    parts = dataset.splits
    labels = np.concatenate([part.labels for part in parts])
    groups = [part.groups for part in parts if part.groups is not None]
    everything = Split(
        images=np.zeros((len(labels), 0, 0, 3), np.uint8),
        labels=labels,
        index=np.arange(len(labels)),
        names=tuple(name for part in parts for name in part.names),
        groups=np.concatenate(groups) if groups else None,
    )
    return replace(dataset, train=everything, validation=everything, test=everything)


def turns(pool: Dataset, count: int) -> Iterator[tuple[list[Array], Dataset]]:
    """The turns of a cross-validation: one fold tests, the next one chooses, the others train.

    So each image tests once and chooses once.

    Args:
        pool: all images, as `pooled` returns them.
        count: number of folds, 3 or more; no class has fewer images.

    Yields:
        The positions of the images that train, choose and test, int [m] each, and these images.
    """
    everything = pool.train
    fold_of = stratified(count, everything.labels, everything.groups)
    for fold in range(count):
        tests, chooses = fold_of == fold, fold_of == (fold + 1) % count
        masks = (~(tests | chooses), chooses, tests)
        positions = [np.flatnonzero(mask) for mask in masks]
        train, validation, test = map(everything.take, positions)
        yield positions, replace(pool, train=train, validation=validation, test=test)
