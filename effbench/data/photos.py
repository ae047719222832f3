"""People's own images: a folder or a CSV as a dataset whose pixels stay on the disk."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from effbench import cache
from effbench.config.geometry import Geometry
from effbench.data import folds, image_folders, image_table, links
from effbench.data.inspecting.listing import SPLITS, ListedImage, Listing, refuse_broken_lines, some
from effbench.data.inspecting.survey import Survey, named_like_an_image, survey
from effbench.data.outline import Outline
from effbench.data.pixels import pixel_cache
from effbench.data.pixels.decoding import begins_like_an_image
from effbench.data.pixels.pixel_cache import ImageFile
from effbench.data.pixels.pixel_rows import PixelRows
from effbench.data.splits import Dataset, Split, label_dtype
from effbench.data.splitting import AttemptedSplit, Division, attempted, divide
from effbench.errors import DataError
from effbench.progress import Report, silent


@dataclass(frozen=True)
class PhotoFiles:
    """Images as files of any size; `sized` makes arrays of them.

    Attributes:
        root: the folder that the names start from.
        names: paths from there, with slashes.
        hashes: the SHA-256 of each file.
    """

    root: Path
    names: tuple[str, ...]
    hashes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: np.ndarray) -> PhotoFiles:
        """The images at `indices` (int [m])."""
        return PhotoFiles(
            self.root,
            tuple(self.names[index] for index in indices),
            tuple(self.hashes[index] for index in indices),
        )

    __getitem__ = take

    def sized(
        self,
        size: int,
        geometry: Geometry,
        report: Report,
        cache_gb: float | None = None,
        to_come: int = 0,
    ) -> PixelRows:
        """The images as squares, decoded once and kept in the cache.

        Args:
            size: pixels a side.
            geometry: how an image becomes a square.
            report: told of the progress, in images.
            cache_gb: as for `pixel_cache.rows`.
            to_come: likewise.

        Raises:
            DiskError: they do not fit, or the disk is full.
            DataError: an image has changed since the dataset was loaded.
        """
        files = [
            ImageFile(self.root / name, sha256)
            for name, sha256 in zip(self.names, self.hashes, strict=True)
        ]
        return pixel_cache.rows(files, size, geometry, cache.pixels(), cache_gb, report, to_come)


def listed(source: Path) -> Listing:
    """The images that a folder or a CSV names.

    Raises:
        DataError: it is neither, or names no classes, or some that no model could keep.
    """
    listing = _listing(source)
    refuse_broken_lines(listing.classes)
    return listing


def _listing(source: Path) -> Listing:
    if source.is_dir():
        return image_folders.read(source)
    if named_like_an_image(source.name):
        raise DataError("photos come in a folder", some([str(source)]), image_folders.LAYOUT)
    if source.exists():
        return image_table.read(source)
    rule = links.broken(source) or "no such folder or CSV"
    raise DataError(rule, some([str(source)]), image_folders.LAYOUT)


def load(source: Path, report: Report, *, skip_unreadable: bool = False) -> Dataset:
    """The images of a folder or a CSV, split.

    Args:
        source: as `image_folders` or `image_table` read it.
        report: told of the progress of the first look at each file, in images.
        skip_unreadable: leaves out images that cannot be read.

    Raises:
        DataError: it cannot be trained on; the message says why.
        DiskError: the cache cannot be written.
    """
    return of(listed(source), report, skip_unreadable=skip_unreadable)


def pooled(source: Path) -> Split:
    """All images of a folder or a CSV that can be read, as a cross-validation numbers them.

    Raises:
        DataError, DiskError: as for `load`.
    """
    dataset = load(source, silent, skip_unreadable=True)
    parts = [part.images for part in dataset.splits if isinstance(part.images, PhotoFiles)]
    names, hashes = (
        tuple(chain.from_iterable(values))
        for values in zip(*((part.names, part.hashes) for part in parts), strict=True)
    )
    return replace(folds.pooled(dataset).train, images=PhotoFiles(parts[0].root, names, hashes))


def of(listing: Listing, report: Report, *, skip_unreadable: bool = False) -> Dataset:
    """The images of a listing, split, as `load` describes it."""
    seen = survey(listing, report)
    if not skip_unreadable:
        _refuse(unreadable(seen))
    _refuse(empty_classes(listing.classes, (row.listed for row in seen.images)))
    return _dataset(seen, divided(seen))


def outline(source: Path) -> Outline:
    """How much a folder or a CSV holds, in the splits that `load` would make.

    No image is decoded. So one that cannot be read is counted, and those with the same pixels,
    which `load` keeps on one side, may be on two: a few images more or less in a split.

    Args:
        source: as for `load`.

    Raises:
        DataError: it cannot be trained on; the message says why.
    """
    listing = listed(source)
    images = [
        image
        for image in listing.images
        if listing.certain
        or named_like_an_image(image.name)
        or begins_like_an_image(listing.root / image.name)
    ]
    _refuse(empty_classes(listing.classes, images))
    division = divide(images, [image.name for image in images])
    counts = Counter(image.split for image in division.images)
    return Outline(tuple(counts[split] for split in SPLITS if counts[split]), len(listing.classes))


def divided(seen: Survey) -> Division:
    """Gives each readable image a split, whole groups and images with the same pixels on one side.

    Raises:
        DataError: it cannot be done.
    """
    return divide(*_of_survey(seen))


def attempt(seen: Survey) -> AttemptedSplit:
    """What `divided` would do, with all that it would refuse."""
    return attempted(*_of_survey(seen))


def _of_survey(seen: Survey) -> tuple[list[ListedImage], list[str]]:
    """The readable images, and for each a text of its pixels."""
    return [row.listed for row in seen.images], [row.look.pixels for row in seen.images]


def unreadable(seen: Survey) -> Iterator[DataError]:
    """The problem that some images cannot be read, if it is so."""
    if not seen.unreadable:
        return
    reasons = [f"{row.listed.name} ({row.look.problem})" for row in seen.unreadable]
    yield DataError(
        f"{len(reasons):,} of {len(reasons) + len(seen.images):,} images cannot be read",
        some(reasons),
        "mend or remove them, or leave them out with --skip-unreadable; effbench data names all",
    )


def empty_classes(classes: Sequence[str], images: Iterable[ListedImage]) -> Iterator[DataError]:
    """The problems that there are less than two classes, or that some have no images.

    Args:
        classes: all that the source names.
        images: those that can be read.
    """
    if len(classes) < 2:
        yield DataError("there must be two classes or more", some(classes), image_folders.LAYOUT)
    empty = sorted(set(classes) - {image.label for image in images})
    if empty:
        yield DataError(
            "classes without a readable image", some(empty), "add images, or remove the class"
        )


def _refuse(problems: Iterable[DataError]) -> None:
    for problem in problems:
        raise problem


def _dataset(seen: Survey, division: Division) -> Dataset:
    number = {name: label for label, name in enumerate(seen.listing.classes)}
    labels = np.array([number[image.label] for image in division.images])
    labels = labels.astype(label_dtype(len(number)))
    whole = PhotoFiles(
        seen.listing.root,
        tuple(image.name for image in division.images),
        tuple(row.look.sha256 for row in seen.images),
    )
    groups = _groups(division)
    splits = np.array([image.split for image in division.images])
    parts = [np.flatnonzero(splits == split) for split in SPLITS]
    train, validation, test = (
        Split(whole, labels, np.arange(len(labels)), groups=groups).take(indices)
        for indices in parts
    )
    # The groups too, as how sure a figure is depends on them.
    known = "" if groups is None else repr(groups.tolist())
    pixels = [row.look.pixels for row in seen.images]
    trained = {pixels[index] for index in parts[0]}
    counts = Counter(pixels)
    content = division.sha256 + "".join(whole.hashes) + known
    return Dataset(
        train,
        validation,
        test if len(test.labels) else None,
        hashlib.sha256(content.encode()).hexdigest(),
        seen.listing.classes,
        division.made,
        division.sha256,
        tuple(row.listed.name for row in seen.unreadable),
        leaked=sum(pixels[index] in trained for part in parts[1:] for index in part),
        twins=sum(count for count in counts.values() if count > 1),
    )


def _groups(division: Division) -> np.ndarray | None:
    """The number of each image's group, int32 [images]; None where no image is in a group."""
    if not any(image.group for image in division.images):
        return None
    # Names of files are in no group's name: they begin with a zero byte here.
    names = [image.group or f"\0{image.name}" for image in division.images]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int32)
