"""Images in folds, each with about the same share of every class; always the same."""

from __future__ import annotations

import warnings

import numpy as np

from effbench.data.splits import SPLIT_SEED


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
