"""Fewer images than there are: so many in all, or of each class, the same ones each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from effbench.data.splits import SPLIT_SEED, Array, Dataset, Split
from effbench.errors import UsageError


def fewer(dataset: Dataset, limit: int | None, of_class: int | None) -> Dataset:
    """What is left of `limit` training images in all, or of `of_class` of each class; None for all.

    Raises:
        UsageError: there are not so many.
    """
    return per_class(dataset.limited(limit), of_class)


def per_class(dataset: Dataset, count: int | None) -> Dataset:
    """`count` training images of each class, and of validation no more; the test images all stay.

    Fewer are always among more.

    Raises:
        UsageError: a class has fewer training images.
    """
    if count is None:
        return dataset
    least, rarest = min((count, name) for name, count in dataset.counts(dataset.train).items())
    if least < count:
        raise UsageError(
            f"--per-class takes 1 to {least:,} images, as {rarest} has {least:,} to train on",
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
