"""What runs cost, and which of them no other beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from effbench.config.variants import VARIANTS
from effbench.models.flops import multiply_adds
from effbench.records.record import RunResult

# Columns of costs, and whether their figures only compare on one device.
COSTS = {
    "parameters": False,
    "gflops": False,
    "seconds_per_image": True,
    "hours": True,
    "peak_memory_gb": True,
}

# What the phases of a table are made of. Older records have the last five among the others.
_PHASES = {
    "startup": ("imports", "startup"),
    "build": ("data", "build", "compile"),
    "features": ("features",),
    "train": ("train",),
    "evaluate": ("evaluate", "write", "other"),
}


@dataclass(frozen=True)
class Cost:
    """What the runs of a group took, all its seeds together.

    Attributes:
        parameters: number of the backbone's parameters.
        gflops: multiply-adds of its forward pass for one image, in billions (10^9), which is what
            the papers call FLOPs.
        seconds_per_image: seconds to extract features; None where all came from the cache.
        images_per_second: the same, inverted.
        startup_seconds: seconds that all processes took to start; likewise the other phases, as
            `_PHASES` has them.
        hours: all phases of all processes together.
        peak_memory_gb: what the largest process held, in 10^9 bytes.
        from_cache: images whose features were not computed in these runs: `hours` lacks them.
        device: what the machine calls it; several are separated by ", ".
        engine: what ran the network, a key of `engine_table.ENGINES`; likewise.
    """

    parameters: int
    gflops: float
    seconds_per_image: float | None
    images_per_second: float | None
    startup_seconds: float
    build_seconds: float
    features_seconds: float
    train_seconds: float
    evaluate_seconds: float
    hours: float
    peak_memory_gb: float
    from_cache: int
    device: str
    engine: str


def of(results: Sequence[RunResult]) -> Cost:
    """The cost of runs that differ by their seed only.

    Seeds that shared a process hold the same seconds, which count once.
    """
    first = results[0].spec
    variant = VARIANTS[first.variant]
    processes = list({_process(result): result for result in results}.values())
    phases = {
        phase: sum(getattr(result.seconds, part) for result in processes for part in parts)
        for phase, parts in _PHASES.items()
    }
    computed = sum(result.provenance.features_computed for result in processes)
    # Of a network whose first stages are frozen, only these were computed.
    whole = results[0].spec.recipe.way.frozen_backbone
    known = whole and computed > 0 and phases["features"] > 0
    return Cost(
        parameters=variant.parameters,
        gflops=multiply_adds(variant, first.image_size) / 1e9,
        seconds_per_image=phases["features"] / computed if known else None,
        images_per_second=computed / phases["features"] if known else None,
        **{f"{phase}_seconds": seconds for phase, seconds in phases.items()},
        hours=sum(phases.values()) / 3600,
        peak_memory_gb=max(result.provenance.peak_memory for result in processes) / 1e9,
        from_cache=sum(result.provenance.features_cached for result in processes),
        device=_joined(result.provenance.device_name for result in processes),
        # Before there was a choice, it was TensorFlow.
        engine=_joined(result.provenance.engine or "tensorflow" for result in processes),
    )


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


def _process(result: RunResult) -> tuple[object, ...]:
    made = result.provenance
    return (made.started, made.device_name, result.seconds, made.peak_memory)


def front(costs: Sequence[float | None], accuracies: Sequence[float]) -> list[bool]:
    """Which are on the Pareto front: no other is as cheap and better, or as good and cheaper."""

    def beaten(index: int) -> bool:
        mine, accuracy = costs[index], accuracies[index]
        return any(
            cost is not None
            and mine is not None
            and cost <= mine
            and other >= accuracy
            and (cost < mine or other > accuracy)
            for cost, other in zip(costs, accuracies, strict=True)
        )

    return [cost is not None and not beaten(index) for index, cost in enumerate(costs)]
