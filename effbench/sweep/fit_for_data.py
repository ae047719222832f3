"""Whether what a sweep asks for can be done with its images."""

from __future__ import annotations

from collections.abc import Sequence

from effbench.config.geometry import Geometry
from effbench.config.recipe_numbers import Recipe
from effbench.config.sweep_options import SweepOptions
from effbench.data import datasets, folds
from effbench.data.inspecting.listing import some
from effbench.data.splits import Dataset, Split
from effbench.errors import DataError, UsageError

# Of photos whose backbone runs in every step.
HELD_BYTES = 2 * 10**9


def of_flags(data: str, options: SweepOptions) -> None:
    """Makes sure that flags for photos are given for photos only.

    Args:
        data: name of the dataset.
        options: the options as the command line gives them.

    Raises:
        UsageError: they are not.
    """
    for flag, given, suits in (
        # What was published is whole, or it is not what was published.
        ("--skip-unreadable", options.images.skip_unreadable, data not in datasets.DATASETS),
        ("--cache-gb", options.execution.cache_gb is not None, datasets.of_photos(data)),
    ):
        if given and not suits:
            raise UsageError(f"{flag} is for photos", f"--data {data}", "leave it out")
    if options.images.limit is not None and options.images.per_class is not None:
        rule = "--limit and --per-class exclude one another"
        raise UsageError(
            rule, f"{options.images.limit} and {options.images.per_class}", "leave one out"
        )
    for flag, given in (
        ("--limit", options.images.limit is not None),
        ("--per-class", options.images.per_class is not None),
        ("--no-feature-cache", not options.execution.feature_cache),
    ):
        if options.images.kfold and given:
            rule = "--kfold takes all images, by features that are computed once"
            raise UsageError(rule, flag, f"leave out --kfold or {flag}")


def of_images(
    dataset: Dataset, trained: Sequence[Recipe], size: int, options: SweepOptions
) -> None:
    """Makes sure that what was asked for can be done with the images.

    Args:
        dataset: the images, limited.
        trained: the recipe of each variant.
        size: of the largest images, pixels.
        options: the options as the command line gives them.

    Raises:
        UsageError: it is for photos only, or for images that fit in memory; a class has no image
            that it needs among so few or in so many folds.
        DataError: a class has none at all.
    """
    ways = [recipe.way for recipe in trained]
    direct = any(way.frozen_backbone and way.in_every_step for way in ways)
    photos = sum(len(split.labels) for split in dataset.splits)
    needed = photos * size**2 * 3
    held = direct and not options.execution.feature_cache
    if not dataset.in_memory and held and needed > HELD_BYTES:
        raise UsageError(
            f"--no-feature-cache holds all images in memory, {HELD_BYTES / 1e9:g} GB at most",
            f"{needed / 1e9:.1f} GB of {photos:,} photos at {size} pixels",
            "leave it out, as a head on features is the same; or give a smaller --limit",
        )
    for recipe in trained:
        if dataset.in_memory:
            of_pixels(recipe, options.images.data)
        if recipe.way.every_class and not options.images.kfold:
            _every_class(recipe, dataset, options)
    if options.images.kfold:
        _foldable(dataset, options.images.kfold)


def of_pixels(recipe: Recipe, data: str) -> None:
    """Makes sure that a recipe for images of one size leaves geometry and filter alone.

    Raises:
        UsageError: it does not.
    """
    if recipe.photo_geometry != Geometry():
        raise UsageError(
            "geometry and filter are for photos, which have sizes of their own",
            f"{recipe.geometry}, {recipe.filter} for {data}",
            "leave them out: its images are squashed, bilinearly, by the network itself",
        )


def _foldable(dataset: Dataset, count: int) -> None:
    """Makes sure that each turn of a cross-validation trains on and tests every class.

    Raises:
        UsageError: a class has fewer images than there are folds, or comes in too few groups,
            which are never divided.
    """
    pool = folds.pooled(dataset)
    least, rarest = min((images, name) for name, images in pool.counts(pool.train).items())
    if least < count:
        raise UsageError(
            f"--kfold takes 3 to {least:,} folds, as {rarest} has {least:,} images",
            str(count),
            "give fewer folds, or more images",
        )
    for _, images in folds.turns(pool, count):
        for split in images.splits:
            if lacking := _lacking(images, split)[:1]:
                raise UsageError(
                    "every fold needs images of each class",
                    f"a fold of {count} has none of {some(lacking)}, "
                    "whose images come in too few groups",
                    "give fewer folds, or more groups",
                )


def _every_class(recipe: Recipe, dataset: Dataset, options: SweepOptions) -> None:
    """Makes sure that each class is there to train on, and to choose by.

    Raises:
        UsageError: one is not, of as few images as were asked for.
        DataError: one is not, of all images.
    """
    for name, split in (("training", dataset.train), ("validation", dataset.validation)):
        if lacking := _lacking(dataset, split):
            rule = f"{recipe.name} needs a {name} image of each class"
            received = f"none of {some(lacking)}"
            if options.images.limit is not None:
                raise UsageError(rule, received, "give a larger --limit, or add images")
            raise DataError(rule, received, "add images")


def _lacking(dataset: Dataset, split: Split) -> list[str]:
    """The names of the classes of which a split has no image."""
    return [name for name, count in dataset.counts(split).items() if not count]
