"""What a dataset is: images with labels, split, hashed, and limited when asked to be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from effbench import lean_imports
from effbench.config.geometry import Geometry
from effbench.errors import DataError, UsageError
from effbench.progress import Report

Array = np.ndarray

# The case study's split: train_test_split(test_size=0.1, random_state=42).
SPLIT_SEED = 42
# The most classes of a dataset: a label takes 16 bits, and a head of 10,000 is no larger than B0.
MOST_CLASSES = 10_000


@runtime_checkable
class Rows(Protocol):
    """Images of one size in a file, of which only those are read that are asked for.

    uint8 [n, size, size, 3], RGB; `sha256` is that of their pixels, in hexadecimal.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Four numbers: how many images, height, width, 3."""

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""

    @property
    def sha256(self) -> str:
        """The hash of all pixels."""

    def __len__(self) -> int:
        """How many images."""

    def __getitem__(self, chosen: slice | Array) -> Array:
        """The images of a slice, or at positions int [m]."""


@runtime_checkable
class Photos(Protocol):
    """Images of any size, not read yet, and the names of their files."""

    @property
    def names(self) -> tuple[str, ...]:
        """Paths from the root of the source."""

    def __len__(self) -> int:
        """How many images."""

    def __getitem__(self, chosen: Array) -> Photos:
        """The images at positions int [m]."""

    def sized(
        self,
        size: int,
        geometry: Geometry,
        report: Report,
        cache_gb: float | None = None,
        to_come: int = 0,
    ) -> Rows:
        """All of them as squares of `size` pixels; `report` is told of the work as it is done.

        The cache of all pixels may take `cache_gb` gigabytes; None for half of the free disk. It
        must have room for `to_come` images more.
        """


@dataclass(frozen=True)
class Split:
    """Some images of a dataset.

    Attributes:
        images: uint8 [n, h, w, 3], RGB, in memory; or photos of any size, or rows made of these.
        labels: [n], 0 to below the number of classes, of the dtype that `label_dtype` says.
        index: int64 [n], positions in the files the images come from.
        names: names of the files that rows were made of, [n]; else empty.
        groups: int32 [n], the group of each image, where images come in groups; else None. An image
            that stands alone has a group of its own.
    """

    images: Array | Photos | Rows
    labels: Array
    index: Array
    names: tuple[str, ...] = ()
    groups: Array | None = None

    @property
    def pixels(self) -> Array | Rows:
        """The images, which have one size: uint8 [n, h, w, 3]."""
        assert not isinstance(self.images, Photos)
        return self.images

    def take(self, chosen: Array) -> Split:
        """The images at `chosen` (int [m])."""
        names = tuple(self.names[position] for position in chosen) if self.names else ()
        groups = None if self.groups is None else self.groups[chosen]
        return Split(self.images[chosen], self.labels[chosen], self.index[chosen], names, groups)


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test images.

    Attributes:
        train: the training images.
        validation: those that choose the epoch.
        test: those that nothing is chosen by; None where there are none.
        sha256: the hash of the whole, before any limit.
        classes: the names of the labels, in their order.
        made: names of the splits that the source did not make.
        split_sha256: the hash of all names, labels and splits of photos; else "".
        skipped: names of the unreadable images that were left out.
        leaked: how many held-out photos have the pixels of one that trains.
        twins: how many photos have the pixels of another one.
    """

    train: Split
    validation: Split
    test: Split | None
    sha256: str
    classes: tuple[str, ...]
    made: tuple[str, ...] = ()
    split_sha256: str = ""
    skipped: tuple[str, ...] = ()
    leaked: int = 0
    twins: int = 0

    def __post_init__(self) -> None:
        if not 2 <= len(self.classes) <= MOST_CLASSES:
            raise DataError(
                f"images must be of 2 to {MOST_CLASSES:,} classes",
                f"{len(self.classes):,}",
                "a class is a folder, or a label of the table",
            )

    @property
    def splits(self) -> tuple[Split, ...]:
        """Train, validation, and test if there is one."""
        return self.train, *self.held_out.values()

    @property
    def held_out(self) -> Mapping[str, Split]:
        """The splits that are evaluated, by their names in a record."""
        named = {"validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    def counts(self, split: Split) -> dict[str, int]:
        """How many images of a split there are of each class, by its name."""
        numbers = np.bincount(split.labels, minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))

    @property
    def in_memory(self) -> bool:
        """Whether the images are arrays, of a size of their own."""
        return isinstance(self.train.images, Array)

    def sized(
        self, size: int, geometry: Geometry, report: Report, cache_gb: float | None = None
    ) -> Dataset:
        """The same with photos as rows of one size; arrays stay as they are.

        That there is room for all of them is made sure before the first is decoded.
        """

        def sized(number: int, split: Split) -> Split:
            if not isinstance(split.images, Photos):
                return split
            to_come = sum(len(other.labels) for other in self.splits[number + 1 :])
            images = split.images.sized(size, geometry, report, cache_gb, to_come)
            return replace(split, images=images, names=split.images.names)

        train, validation, *test = (sized(*split) for split in enumerate(self.splits))
        return replace(self, train=train, validation=validation, test=test[0] if test else None)

    def limited(self, limit: int | None) -> Dataset:
        """`limit` training images, and a quarter of it (at least 10) each of the others.

        Stratified by class and always the same images. A split that has fewer stays whole.

        Raises:
            UsageError: the limit is smaller than the number of classes, or no limit at all.
        """
        if limit is None:
            return self
        classes, available = len(self.classes), len(self.train.labels)
        if not classes <= limit < available:
            raise UsageError(
                f"--limit takes {classes:,} (an image of each class) to {available - 1:,} images",
                str(limit),
                "choose a number between, or leave it out to use all images",
            )
        small = max(10, classes, limit // 4)
        return replace(
            self,
            train=_stratified(self.train, limit),
            validation=_stratified(self.validation, small),
            test=self.test and _stratified(self.test, small),
        )


def label_dtype(classes: int) -> type[np.uint8 | np.uint16]:
    """The dtype of labels, of predicted classes and of ranks, of so many classes."""
    return np.uint8 if classes <= 256 else np.uint16


def _stratified(split: Split, size: int) -> Split:
    with lean_imports.scikit_learn():
        from sklearn.utils import resample

    if size >= len(split.labels):
        return split
    positions = np.arange(len(split.labels))
    chosen = resample(
        positions, replace=False, n_samples=size, stratify=split.labels, random_state=SPLIT_SEED
    )
    return split.take(np.sort(chosen))


def hashed(train: Split, validation: Split, test: Split) -> Dataset:
    """A dataset of arrays with the hash of its content; its classes are called by their numbers."""
    digest = hashlib.sha256()
    for split in (train, validation, test):
        assert isinstance(split.images, Array)
        for array in (split.images, split.labels):
            digest.update(np.ascontiguousarray(array).data)
    classes = tuple(map(str, range(int(train.labels.max()) + 1)))
    return Dataset(train, validation, test, digest.hexdigest(), classes)
