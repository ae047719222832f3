"""What a person should know of their images before they spend hours on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.config.variants import USUAL, select
from effbench.data import photos
from effbench.data.inspecting import near_duplicates
from effbench.data.inspecting.listing import SPLITS, ListedImage, by_number, some
from effbench.data.inspecting.survey import Survey, SurveyedImage, survey
from effbench.data.splitting import Division
from effbench.progress import Report


@dataclass(frozen=True)
class ClassCount:
    """A class, and how many images it has in each split."""

    name: str
    images: int
    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Range:
    """The smallest, the median and the largest number of pixels of a side."""

    side: str
    smallest: int
    median: int
    largest: int


@dataclass(frozen=True)
class Upsampling:
    """How many images have a side shorter than the native size of some variants."""

    variants: tuple[str, ...]
    size: int
    images: int


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Alike:
    """Images that show the same.

    Attributes:
        names: of the files.
        labels: their classes, in the same order.
        splits: their splits; "" where there are none.
        bits: as in `near_duplicates.NearGroup`; None if every pixel is equal.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    bits: int | None = None

    @property
    def leaks(self) -> bool:
        """Whether they are in two splits."""
        return len(set(self.splits)) > 1

    @property
    def contradicts(self) -> bool:
        """Whether they have two labels."""
        return len(set(self.labels)) > 1


@dataclass(frozen=True)
class Inspection:
    """All that there is to say of a source.

    Attributes:
        source: the folder or the CSV.
        images: number of images that can be read.
        classes: in the order of their labels.
        by_number: whether that is the order of numbers; else it is that of letters.
        made: splits that the source does not have and that are made.
        split_sha256: hash of the split; "" where nobody can train on it.
        groups: number of groups of images that stay on one side; 0 where no image is in one.
        grouped: number of images in a group; the others stand alone.
        sides: of all images that can be read.
        formats: number of images by format.
        upsampled: for each native size.
        unreadable: images that cannot be read.
        no_images: names of other files among the images.
        beside: names of files outside of the classes' folders.
        hidden: number of hidden files and folders.
        alike: images with the same pixels.
        near: images that look the same; None if nobody asked.
        problems: what is wrong, a line each: why a sweep would refuse the source; then images that
            contradict one another, or that train and test, which a sweep takes as they are.
        refused: whether a sweep would refuse it.
    """

    source: str
    images: int
    classes: tuple[ClassCount, ...]
    by_number: bool
    made: tuple[str, ...]
    split_sha256: str
    groups: int
    grouped: int
    sides: tuple[Range, ...]
    formats: dict[str, int]
    upsampled: tuple[Upsampling, ...]
    unreadable: tuple[Unreadable, ...]
    no_images: tuple[str, ...]
    beside: tuple[str, ...]
    hidden: int
    alike: tuple[Alike, ...]
    near: tuple[Alike, ...] | None
    problems: tuple[str, ...]
    refused: bool


@dataclass(frozen=True)
class Inspected:
    """An inspection, and what it is of."""

    inspection: Inspection
    survey: Survey
    division: Division | None


def inspect(source: Path, report: Report, *, near: bool, skip_unreadable: bool) -> Inspected:
    """Looks at all images of a source.

    Args:
        source: a folder or a CSV.
        report: told of the progress, in images.
        near: whether to look for images that look the same, too.
        skip_unreadable: whether unreadable images are no problem.

    Raises:
        DataError: the source is nothing that could hold images.
        DiskError: the cache cannot be written.
    """
    seen = survey(photos.listed(source), report)
    attempt = photos.attempt(seen)
    listed = [row.listed for row in seen.images]
    fatal = (*photos.empty_classes(seen.listing.classes, listed), *attempt.problems)
    division = None if fatal else attempt.division()
    refusals = [*(() if skip_unreadable else photos.unreadable(seen)), *fatal]
    images = attempt.images
    copies = _copies(seen, images)
    alike = _alike(copies)
    inspection = Inspection(
        source=str(source),
        images=len(images),
        classes=_classes(seen.listing.classes, images),
        by_number=by_number(seen.listing.classes),
        made=attempt.made,
        split_sha256=division.sha256 if division else "",
        groups=len({image.group for image in images if image.group}),
        grouped=sum(bool(image.group) for image in images),
        sides=_sides(seen.images),
        formats=dict(Counter(row.look.format for row in seen.images).most_common()),
        upsampled=_upsampled(seen.images),
        unreadable=tuple(Unreadable(row.listed.name, row.look.problem) for row in seen.unreadable),
        no_images=seen.no_images,
        beside=seen.listing.beside,
        hidden=seen.listing.hidden,
        alike=alike,
        near=_near(seen, copies, report) if near else None,
        problems=(*map(str, refusals), *_misleading(alike)),
        refused=bool(refusals),
    )
    return Inspected(inspection, seen, division)


def _classes(names: Sequence[str], images: Iterable[ListedImage]) -> tuple[ClassCount, ...]:
    counts = Counter((image.label, image.split) for image in images)
    splits = ("", *SPLITS)
    return tuple(
        ClassCount(
            name, sum(counts[name, split] for split in splits), *(counts[name, s] for s in SPLITS)
        )
        for name in names
    )


def _sides(images: Sequence[SurveyedImage]) -> tuple[Range, ...]:
    if not images:
        return ()
    sizes = np.array([(row.look.width, row.look.height) for row in images])
    sides = {"width": sizes[:, 0], "height": sizes[:, 1], "shorter side": sizes.min(axis=1)}
    return tuple(
        Range(name, int(values.min()), int(np.median(values)), int(values.max()))
        for name, values in sides.items()
    )


def _upsampled(images: Sequence[SurveyedImage]) -> tuple[Upsampling, ...]:
    shorter = np.array([min(row.look.width, row.look.height) for row in images])
    variants: dict[int, list[str]] = defaultdict(list)
    for variant in select(USUAL):
        variants[variant.image_size].append(variant.name)
    return tuple(
        Upsampling(tuple(names), size, int((shorter < size).sum()))
        for size, names in sorted(variants.items())
    )


Copies = Sequence[Sequence[ListedImage]]  # for all pixels, the images that have them


def _copies(seen: Survey, images: Sequence[ListedImage]) -> Copies:
    same: dict[str, list[ListedImage]] = defaultdict(list)
    for row, image in zip(seen.images, images, strict=True):
        same[row.look.pixels].append(image)
    return list(same.values())


def _alike(copies: Copies) -> tuple[Alike, ...]:
    return _worst_first(_group(images) for images in copies if len(images) > 1)


def _misleading(alike: Sequence[Alike]) -> Iterator[str]:
    """What copies make of the figures of a sweep that takes them as they are."""
    wrong = [group.names for group in alike if group.contradicts]
    if wrong:
        yield (
            f"the same pixels have two labels: {_copied(wrong)}; no network can get both right: "
            "keep the one that is true"
        )
    leaking = [group.names for group in alike if group.leaks]
    if leaking:
        yield (
            f"the same pixels are in two splits: {_copied(leaking)}; what is tested was trained "
            "on, or chosen by: keep one, or give copies the same group in a CSV"
        )


def _copied(groups: Sequence[Sequence[str]]) -> str:
    return some([" and ".join(names[:2]) for names in groups])


def _near(seen: Survey, copies: Copies, report: Report) -> tuple[Alike, ...]:
    """Groups that look the same and not only copies; of copies, the first one is compared."""
    paths = [seen.listing.root / images[0].name for images in copies]
    return _worst_first(
        _group([image for position in group.positions for image in copies[position]], group.bits)
        for group in near_duplicates.groups(paths, report)
    )


def _group(images: Sequence[ListedImage], bits: int | None = None) -> Alike:
    return Alike(
        tuple(image.name for image in images),
        tuple(image.label for image in images),
        tuple(image.split for image in images),
        bits,
    )


def _worst_first(groups: Iterable[Alike]) -> tuple[Alike, ...]:
    return tuple(sorted(groups, key=lambda group: (not group.contradicts, not group.leaks)))
