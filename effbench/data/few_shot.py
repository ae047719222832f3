"""A few images of each class: the same ones each time, and fewer are always among more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from effbench.data.splits import SPLIT_SEED, Array, Dataset, Split
from effbench.errors import UsageError


def per_class(dataset: Dataset, count: int | None) -> Dataset:
    """`count` training images of each class, and of validation no more; the test images all stay.

    Raises:
        UsageError: a class has fewer training images.
    """
    if count is None:
        return dataset
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
    least = int(counts.argmin())
    if counts[least] < count:
        raise UsageError(
            f"--per-class takes 1 to {counts[least]:,} images, as {dataset.classes[least]} has "
            f"{counts[least]:,} to train on",
            f"{count:,}",
            "give fewer, or leave it out to use all images",
        )
    train, validation = (_first(split, count) for split in (dataset.train, dataset.validation))
    return replace(dataset, train=train, validation=validation)


def _first(split: Split, count: int) -> Split:
    """The first images of each class in an order that no count changes, in the split's order."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(split.labels))
    chosen: list[Array] = [
        order[split.labels[order] == label][:count] for label in np.unique(split.labels)
    ]
    return split.take(np.sort(np.concatenate(chosen)))
