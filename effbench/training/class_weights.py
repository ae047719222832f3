"""How much a class counts in the loss. A new way is a new row."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np


def weights(name: str, labels: np.ndarray, classes: int) -> np.ndarray:
    """The weight of each class; over all images of `labels` they are 1 on average.

    Args:
        name: a row of `CLASS_WEIGHTS`.
        labels: int [n], of the training images.
        classes: number of classes.

    Returns:
        float32 [classes].
    """
    counts = np.bincount(labels, minlength=classes)
    return CLASS_WEIGHTS[name](counts).astype(np.float32)


def _balanced(counts: np.ndarray) -> np.ndarray:
    """As `class_weight="balanced"` of scikit-learn; 0 for a class without images."""
    with np.errstate(divide="ignore"):
        return np.where(counts, counts.sum() / (len(counts) * counts), 0.0)


# From the number of images of each class to its weight.
CLASS_WEIGHTS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": np.ones_like,
    "balanced": _balanced,
}
