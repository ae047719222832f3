"""Who trains and who judges: the splits that a source does not make itself.

A source without splits is divided 70 / 10 / 20 into train, validation and test. Where only the
validation split is missing, it is a tenth of train. Where only the test split is missing, there is
none: whoever left it out has looked at all images already.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from effbench.data import folds
from effbench.data.inspecting.listing import SPLITS, ListedImage, some
from effbench.data.splits import SPLIT_SEED
from effbench.errors import DataError

TENTHS = 10
# Up to here, groups are dealt out by how many images of each class they have, which takes 2 ms a
# group; of more, each counts as its first image, and their sizes average out.
FEW_GROUPS = 1000
# The split of each tenth, by the splits that a source has itself; what is not here needs none made.
DIVISIONS = {
    (): ("test", "test", "validation", *["train"] * 7),
    ("train",): ("test", "test", "validation", *["train"] * 7),
    ("train", "test"): ("validation", *["train"] * 9),
}
# Of a class with fewer images than these, each split gets its share to the image.
FEW_IMAGES = 30
ENOUGH = (
    f"{TENTHS} images of a class are always enough (a group counts as one); add some, or say "
    "which image is in which split"
)
EVERYWHERE = (
    "every class must be in every split: move some of its images there, or remove the class"
)


@dataclass(frozen=True)
class Division:
    """Images with a split each.

    Attributes:
        images: in the order that they came in, each with its split.
        made: the splits that the source did not make.
        sha256: of all names, labels and splits.
    """

    images: tuple[ListedImage, ...]
    made: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class AttemptedSplit:
    """Images with the splits that they have or could be given, and what is wrong with these.

    Attributes:
        images: in the order that they came in; without a split where none could be made.
        made: the splits that the source did not make.
        problems: why nobody can train on them, a line each.
    """

    images: tuple[ListedImage, ...]
    made: tuple[str, ...]
    problems: tuple[DataError, ...]

    def division(self) -> Division:
        """The images, fit to be trained on.

        Raises:
            DataError: the first of the problems.
        """
        for problem in self.problems:
            raise problem
        return Division(self.images, self.made, _sha256(self.images))


def divide(images: Sequence[ListedImage], alike: Sequence[str]) -> Division:
    """Gives each image a split, stratified by class, always the same, whole groups on one side.

    Args:
        images: sorted by name, all with a split or all without.
        alike: for each image a text; those with the same text go to the same side, where we make
            the splits. A group of an image's own has precedence.

    Raises:
        DataError: there is no training split, a group is in two splits, or a class is not in each
            split.
    """
    return attempted(images, alike).division()


def attempted(images: Sequence[ListedImage], alike: Sequence[str]) -> AttemptedSplit:
    """What `divide` would do, with all that it would refuse; it takes the same."""
    listed = images
    given = tuple(split for split in SPLITS if any(image.split == split for image in images))
    problems = []
    if given and "train" not in given:
        problems.append(
            DataError(
                "there is no training split",
                f"only {' and '.join(given)}",
                "name one train, or leave the splits out to have them made",
            )
        )
    parts = DIVISIONS.get(given)
    made = tuple(split for split in SPLITS if parts and split in parts and split not in given)
    pool = [index for index, image in enumerate(images) if image.split in ("", "train")]
    if parts and pool:
        try:
            chosen = _parts(
                [images[index] for index in pool], [alike[index] for index in pool], parts
            )
        except DataError as error:
            problems.append(error)
            made = ()
        else:
            divided = list(images)
            for index, split in zip(pool, chosen, strict=True):
                divided[index] = replace(images[index], split=split)
            images = divided
    problems += [*_broken_groups(images), *_missing_classes(listed, images, made)]
    return AttemptedSplit(tuple(images), made, tuple(problems))


def _parts(
    images: Sequence[ListedImage], alike: Sequence[str], parts: Sequence[str]
) -> Sequence[str]:
    """The split of each image, by that of each tenth, with the same share of each class."""
    labels = np.array([image.label for image in images])
    # A zero byte is in no group's own name.
    names = [image.group or f"\0{text}" for image, text in zip(images, alike, strict=True)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = np.array([numbers[name] for name in names])
    label, count = min(Counter(labels).items(), key=lambda item: item[1])
    if max(Counter(labels).values()) < TENTHS or len(numbers) < TENTHS:
        joined = f" in {len(numbers):,} groups" if len(numbers) < len(images) else ""
        received = f"{count:,} of {some([label])}, {len(images):,} images{joined}"
        raise DataError("too few images to make splits", received, ENOUGH)
    if len(images) > len(numbers) <= FEW_GROUPS:
        return [parts[tenth] for tenth in folds.stratified(TENTHS, labels, groups)]
    _, firsts = np.unique(groups, return_index=True)
    if min(Counter(labels[firsts]).values()) < FEW_IMAGES:
        of_groups = _shares(labels[firsts], parts)
    else:
        of_groups = [parts[tenth] for tenth in folds.stratified(TENTHS, labels[firsts], None)]
    return [of_groups[group] for group in groups]


def _shares(labels: np.ndarray, parts: Sequence[str]) -> list[str]:
    """The split of each image of small classes: a split's share of each class, rounded.

    Tenths differ by an image of a class, which is a lot of few.
    """
    splits = ["train"] * len(labels)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    for label in np.unique(labels):
        left = [*order[labels[order] == label]]
        images = len(left)
        for split in dict.fromkeys(part for part in parts if part != "train"):
            for _ in range(max(1, round(images * parts.count(split) / TENTHS))):
                if left:
                    splits[left.pop()] = split
    return splits


def _broken_groups(images: Sequence[ListedImage]) -> Iterator[DataError]:
    splits: dict[str, str] = {}
    broken: dict[str, str] = {}
    for image in images:
        if image.group and splits.setdefault(image.group, image.split) != image.split:
            where = f"{image.group} in {splits[image.group]} and {image.split}"
            broken.setdefault(image.group, where)
    if broken:
        rule = "a group is in two splits" if len(broken) == 1 else "groups are in two splits"
        hint = "move its images to one side: they are alike"
        yield DataError(rule, some([*broken.values()]), hint)


def _missing_classes(
    listed: Sequence[ListedImage], images: Sequence[ListedImage], made: Sequence[str]
) -> Iterator[DataError]:
    """The classes that each split lacks: those we had too few images of, and those of the source.

    A split that is made lacks what train lacks, which is said once.
    """
    source, divided = _counts(listed), _counts(images)
    ours = {"train", *made} if made else set()
    for split in (split for split in SPLITS if any(counts[split] for counts in divided.values())):
        lacking = [label for label, counts in divided.items() if not counts[split]]
        few = [label for label in lacking if split in ours and ours & {*divided[label]}]
        others = [] if split in made else [label for label in lacking if label not in few]
        for labels, hint in ((few, ENOUGH), (others, EVERYWHERE)):
            if labels:
                counted = some([f"{label} ({_counted(source[label])})" for label in labels])
                yield DataError(f"classes without images in {split}", counted, hint)


def _counts(images: Sequence[ListedImage]) -> dict[str, Counter[str]]:
    """How many images of each class there are in each split."""
    splits: dict[str, Counter[str]] = {image.label: Counter() for image in images}
    for image in images:
        splits[image.label][image.split] += 1
    return splits


def _counted(splits: Counter[str]) -> str:
    """How many images there are of a class, and in which split, if all are in one."""
    images = splits.total()
    where = f", in {next(iter(splits))} only" if len(splits) == 1 and not splits[""] else ""
    return f"{images:,} image{'s' * (images != 1)}{where}"


def _sha256(images: Sequence[ListedImage]) -> str:
    rows = sorted(f"{image.name}\0{image.label}\0{image.split}\n" for image in images)
    return hashlib.sha256("".join(rows).encode()).hexdigest()
