"""Groups of runs, each the work of one process, and the order in which several machines take them.

Groups that share a backbone's features stay together: they are computed once, by whoever comes
first. The longest come first, so that none of them is begun when the others are done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from effbench.config.run_spec import RunSpec, digest
from effbench.config.variants import VARIANTS
from effbench.models.flops import multiply_adds

# Images of a dataset whose size no run says: CIFAR's.
_USUAL_IMAGES = 60_000
# A step of training goes forward once and back at twice that cost.
TRAINING = 3
# A head's training beside the features of its images, which is nearly nothing.
_HEAD = 0.02


@dataclass(frozen=True)
class Group:
    """Runs that one process does together.

    Attributes:
        specs: the runs.
    """

    specs: tuple[RunSpec, ...]

    @cached_property
    def name(self) -> str:
        """Names it, its lease and its progress."""
        return self.specs[0].worker

    @cached_property
    def features(self) -> str:
        """Equal where groups need the same features; "" where they need none that are kept."""
        spec = self.specs[0]
        if not (spec.recipe.way.frozen_backbone and spec.feature_cache):
            return ""
        recipe = spec.recipe
        return digest(
            [
                *(spec.variant, spec.weights.digest, spec.image_size, spec.preprocessing),
                *(spec.data_sha256, spec.limit, spec.per_class, spec.precision),
                *(str(recipe.photo_geometry), recipe.filter),
            ]
        )

    @cached_property
    def work(self) -> float:
        """Multiply-adds that it takes, features included; to compare groups by."""
        spec = self.specs[0]
        images = spec.limit or (spec.per_class or 0) * spec.classes or _USUAL_IMAGES
        epochs = 0 if self.features else spec.recipe.epochs or 1
        return work(spec.variant, spec.image_size, images, epochs, len(self.specs))


def work(variant: str, image_size: int, images: int, epochs: int, seeds: int = 1) -> float:
    """Multiply-adds of a training.

    Args:
        variant: name of the network.
        image_size: pixels.
        images: that it trains on.
        epochs: in each of which the network runs; 0 where features are computed once.
        seeds: that one process trains.
    """
    once = float(multiply_adds(VARIANTS[variant], image_size) * images)
    return once * (TRAINING * epochs * seeds if epochs else 1 + _HEAD * seeds)


def of(specs: Iterable[RunSpec]) -> list[Group]:
    """The groups of runs, in the order of the runs."""
    return [Group(tuple(group)) for _, group in groupby(specs, key=lambda spec: spec.worker)]


def ordered(groups: Iterable[Group]) -> list[Group]:
    """The longest first, and beside each those that share its features."""
    longest: dict[str, float] = {}
    groups = list(groups)
    for group in groups:
        shared = group.features or group.name
        longest[shared] = max(longest.get(shared, 0.0), group.work)

    def rank(group: Group) -> tuple[float, str, float, str]:
        shared = group.features or group.name
        return -longest[shared], shared, -group.work, group.name

    return sorted(groups, key=rank)


def choices(
    groups: Sequence[Group], mine: Collection[str], busy: Mapping[str, str]
) -> Iterator[Group]:
    """The groups that a worker may take now, the best first.

    Args:
        groups: those that are open, ordered.
        mine: features that this worker's cache has.
        busy: features that others compute now into the same cache, and the names of their groups:
            these stay among the choices, as their owners may be dead.
    """
    for group in groups:
        if group.features in mine:
            yield group
    for group in groups:
        if group.features not in mine and busy.get(group.features, group.name) == group.name:
            yield group
