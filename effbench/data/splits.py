"""What a dataset is: uint8 images with labels, split, hashed, and limited when asked to be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from effbench.errors import UsageError

Array = np.ndarray

# The case study's split: train_test_split(test_size=0.1, random_state=42).
SPLIT_SEED = 42
CLASSES = 10
# CIFAR-10's training, validation and test images in that split.
FULL = (45_000, 5_000, 10_000)


@dataclass(frozen=True)
class Split:
    """Some images of a dataset.

    Attributes:
        images: uint8 [n, 32, 32, 3], RGB.
        labels: uint8 [n], 0 to 9.
        index: int64 [n], positions in the files the images come from.
    """

    images: Array
    labels: Array
    index: Array

    def take(self, chosen: Array) -> Split:
        """The images at `chosen` (int [m])."""
        return Split(self.images[chosen], self.labels[chosen], self.index[chosen])


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test images; `sha256` is that of the whole, before any limit."""

    train: Split
    validation: Split
    test: Split
    sha256: str

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, validation, test."""
        return self.train, self.validation, self.test

    def limited(self, limit: int | None) -> Dataset:
        """`limit` training images, and a quarter of it (at least 10) each of the others.

        Stratified by class and always the same images. A split that has fewer stays whole.

        Raises:
            UsageError: the limit is smaller than the number of classes, or no limit at all.
        """
        if limit is None:
            return self
        available = len(self.train.labels)
        if not CLASSES <= limit < available:
            raise UsageError(
                f"--limit takes {CLASSES} (an image of each class) to {available - 1:,} images",
                str(limit),
                "choose a number between, or leave it out to use all images",
            )
        small = max(10, limit // 4)
        return Dataset(
            _stratified(self.train, limit),
            _stratified(self.validation, small),
            _stratified(self.test, small),
            self.sha256,
        )


def _stratified(split: Split, size: int) -> Split:
    from sklearn.utils import resample

    if size >= len(split.labels):
        return split
    positions = np.arange(len(split.labels))
    chosen = resample(
        positions, replace=False, n_samples=size, stratify=split.labels, random_state=SPLIT_SEED
    )
    return split.take(np.sort(chosen))


def hashed(train: Split, validation: Split, test: Split) -> Dataset:
    """A dataset with the hash of its content."""
    digest = hashlib.sha256()
    for split in (train, validation, test):
        digest.update(split.images.tobytes())
        digest.update(split.labels.tobytes())
    return Dataset(train, validation, test, digest.hexdigest())
