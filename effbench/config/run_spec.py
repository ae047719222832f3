"""What a run is: everything that can change its outcome, as plain data with a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from operator import attrgetter

from effbench.config.recipe_numbers import Recipe

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True)
class WeightsId:
    """Which weights, wherever their file lies.

    Attributes:
        name: a release of `variants.RELEASES`, or "none" for random weights.
        digest: "md5:..." of the published release, "sha256:..." of any other file, "" for none.
        rescale: the input rescaling these weights expect, "torch" or "tf".
    """

    name: str
    digest: str
    rescale: str

    @property
    def random(self) -> bool:
        """Whether the backbone is untrained."""
        return self.name == "none"

    @property
    def released(self) -> bool:
        """Whether it is, byte for byte, a published release."""
        return self.digest.startswith("md5:")


@dataclass(frozen=True)
class RunSpec:
    """Everything that can change the outcome of a run. Same key, same run.

    Attributes:
        variant: name of a row of `variants.VARIANTS`.
        weights: the backbone's.
        image_size: side of the square input, pixels.
        recipe: resolved, overrides included.
        data: name of a row of `datasets.DATASETS`, or of a folder of photos.
        data_sha256: SHA-256 of all images and labels of the dataset, before any limit.
        limit: number of training images, or None for all.
        per_class: number of training images of each class, or None for all.
        seed: the seed of the head's initial weights, its dropout and the shuffling.
        precision: a row of `PRECISIONS`.
        feature_cache: False runs the backbone in every step instead of once per image, as it must
            where the whole network trains.
        micro_batch: images of a global batch that go through the network at once, or None for all.
        classes: how many the images are of.
        folds: of a cross-validation, in which each image is tested once; 0 for the data's splits.
    """

    variant: str
    weights: WeightsId
    image_size: int
    recipe: Recipe
    data: str
    data_sha256: str
    limit: int | None
    seed: int
    precision: str
    feature_cache: bool
    micro_batch: int | None = None
    classes: int = 10
    folds: int = 0
    per_class: int | None = None

    @cached_property
    def key(self) -> str:
        """Readable name and short hash of every field; also the name of the record's folder."""
        return f"{self._name}-s{self.seed}-{digest(self._content)[:12]}"

    @cached_property
    def group(self) -> str:
        """The key without the seed: runs of one group differ by their seed only."""
        return f"{self._name}-{digest(self._content | {'seed': 0})[:12]}"

    def apart_from(self, numbers: Sequence[str]) -> str:
        """The group without some fields of the recipe: equal where runs differ in these alone."""
        shared = self._content | {"seed": 0}
        recipe = {name: value for name, value in _plain(self.recipe).items() if name not in numbers}
        return f"{self._name}-{digest([shared | {'recipe': recipe}, *numbers])[:12]}"

    @property
    def worker(self) -> str:
        """Names what one worker process does, and its lock: all seeds of a head, or one network."""
        return self.group if self.recipe.way.seeds_together else self.key

    @property
    def fewer(self) -> str:
        """How many training images there are, if not all; else ""."""
        if self.limit is not None:
            return f"{self.limit:,} images"
        if self.per_class is not None:
            return f"{self.per_class:,} image{'s' * (self.per_class != 1)} a class"
        return ""

    @property
    def preprocessing(self) -> str:
        """The row of `preprocessing.PREPROCESSING` that this run uses."""
        chosen = self.recipe.preprocessing
        return self.weights.rescale if chosen == "weights" else chosen

    @cached_property
    def _content(self) -> dict[str, object]:
        return _plain(self)

    @cached_property
    def _name(self) -> str:
        limit = [] if self.limit is None else [f"limit{self.limit}"]
        few = [] if self.per_class is None else [f"{self.per_class}each"]
        folds = [f"{self.folds}fold"] if self.folds else []
        parts = [self.variant, self.weights.name, self.image_size, self.recipe.name, self.data]
        return "-".join(map(str, parts + limit + few + folds))


def digest(value: object) -> str:
    """The SHA-256 of the canonical JSON of a value, in hexadecimal."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _plain(value: RunSpec | Recipe | WeightsId) -> dict[str, object]:
    """A dataclass as a dict, without fields at their default: a new field changes no old key."""
    kind: type = type(value)
    names, defaults, values = _fields(kind)
    return {
        name: _plain(inner) if isinstance(inner, Recipe | WeightsId) else inner
        for name, inner, default in zip(names, values(value), defaults, strict=True)
        if inner != default
    }


@cache
def _fields(
    kind: type,
) -> tuple[tuple[str, ...], tuple[object, ...], attrgetter[tuple[object, ...]]]:
    """The names of a class's fields, their defaults, and what gets their values at once."""
    names = tuple(field.name for field in fields(kind))
    return names, tuple(field.default for field in fields(kind)), attrgetter(*names)
