"""What processes that are over did, and how long it took them, as their records say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from pydantic_core import from_json

from effbench.config import schedule
from effbench.config.run_spec import RunSpec
from effbench.sweep.groups import TRAINING, Group

Network = tuple[str, int]  # a variant and its image size

_SPEC = TypeAdapter(RunSpec)
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Counts:
    """Images of a run: those that train, all of them, and those of each split where it is known."""

    train: int
    all: int
    splits: tuple[int, ...] = ()


@dataclass(frozen=True)
class TimedProcess:
    """What a process that is over did, and how long it took.

    Attributes:
        spec: one of its runs.
        counts: their images.
        engine: what ran the network.
        device: kind of device.
        device_name: what its machine calls it.
        weights_sha256: of the file of weights.
        passes: forward passes of its network, a step of training counted as `groups.TRAINING`.
        fixed: seconds until it was ready, and those of its end.
        network_seconds: of the passes.
        head_seconds: of what trained on features that were kept; None where nothing did.
        when: when it began, ISO 8601.
        kept: whether it computed the features of its images once.
        warm: whether its passes were timed without their compilation.
    """

    spec: RunSpec
    counts: Counts
    engine: str
    device: str
    device_name: str
    weights_sha256: str
    passes: float
    fixed: float
    network_seconds: float
    head_seconds: float | None
    when: str
    kept: bool
    warm: bool = False

    @property
    def network(self) -> Network:
        """What it ran."""
        return self.spec.variant, self.spec.image_size

    @property
    def seconds(self) -> float:
        """All that it took."""
        return self.fixed + self.network_seconds + (self.head_seconds or 0.0)

    @property
    def process(self) -> tuple[object, ...]:
        """Equal for all records of one process."""
        return self.when, self.device_name, self.fixed, self.network_seconds, self.head_seconds


def read(path: Path) -> TimedProcess:
    """The process that wrote a record.

    Raises:
        ValueError: or OSError, KeyError or TypeError: it is no record.
    """
    raw = from_json(path.read_bytes())
    spec = _SPEC.validate_python(raw["spec"])
    made, images, seconds = raw["provenance"], raw["images"], raw["seconds"]
    train = images["train"]
    # In a cross-validation, each image trains, chooses and tests.
    counts = Counts(train, train if spec.folds else sum(images[name] for name in _SPLITS))
    trained = seconds["train"] + seconds["evaluate"]
    kept = keeps(spec)
    return TimedProcess(
        spec=spec,
        counts=counts,
        engine=made.get("engine") or "tensorflow",
        device=made["device"],
        device_name=made["device_name"],
        weights_sha256=made["weights_sha256"],
        passes=float(made["features_computed"])
        if kept
        else _passes(spec, train) * made["seeds_together"],
        fixed=sum(seconds.values()) - seconds["features"] - trained,
        network_seconds=seconds["features"] + (0.0 if kept else trained),
        head_seconds=trained if kept else None,
        when=made["started"],
        kept=kept,
        warm=bool(seconds.get("compile")),
    )


def keeps(spec: RunSpec) -> bool:
    """Whether a run computes the features of its images once."""
    return spec.recipe.way.frozen_backbone and spec.feature_cache


def _passes(spec: RunSpec, images: int) -> float:
    """Forward passes of a training in whose every step the network runs."""
    passes = 1 if spec.recipe.way.frozen_backbone else TRAINING
    return float(passes * schedule.epochs(spec.recipe, images) * images)


def passes_of(group: Group, counts: Counts) -> float:
    """Forward passes of a group of runs that finds nothing in the cache."""
    spec = group.specs[0]
    if keeps(spec):
        return float(counts.all)
    return _passes(spec, counts.train) * len(group.specs)
