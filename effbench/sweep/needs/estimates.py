"""How long runs take, by what others took: the same ones, or else those of other networks.

A run takes what it takes to begin, the forward passes of its network, and what it trains on their
features. Each is estimated from the processes that measured it; what none has measured is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.models.flops import multiply_adds
from effbench.sweep.groups import Group
from effbench.sweep.needs import solving_time
from effbench.sweep.needs.timed_processes import Counts, Network, TimedProcess, keeps, passes_of

# Of fewer images, what a process took is mostly something else, e.g. its compilation, unless it
# took so many seconds.
_ENOUGH = 1 / 16
_LONG = 60.0
# Whole networks that trained for less show mostly what a training and an evaluation begin with,
# even without their compilation.
_BEGUN = 10.0
# So many times the images of a head, or fewer by as much, and its time is no longer in proportion.
_NEAR = 4

# Why nothing is known of runs that need no forward pass.
NO_HEAD = "no record of such a head"
# What is said of a head that nobody measured, and that takes long.
BY_SIZE = "the head by its size"


@dataclass(frozen=True)
class Estimate:
    """How long something takes.

    Attributes:
        seconds: None where nobody knows.
        basis: what says so, e.g. "records"; "" for nothing.
    """

    seconds: float | None
    basis: str = ""


def work(group: Group, counts: Counts) -> float:
    """Multiply-adds of these passes, and of regressions that take long."""
    spec = group.specs[0]
    passes = passes_of(group, counts) * _work((spec.variant, spec.image_size))
    return passes + solving_time.multiply_adds(spec, counts)


def _recipe(spec: RunSpec) -> str:
    """Runs of the same cost alike."""
    return f"{spec.recipe.name} {spec.recipe.unfreeze}"


def counted(spec: RunSpec, known: Counts | None) -> Counts:
    """The images of a run.

    Args:
        spec: the run.
        known: its images where somebody has counted them; else those of CIFAR.
    """
    if known is not None:
        return known
    train = spec.limit or (spec.per_class or 0) * spec.classes or 45_000
    return Counts(train, train + train // 3)


@dataclass
class Estimator:
    """Estimates from what processes took.

    Attributes:
        timed: the processes; those of one machine, where nothing else compares.
        basis: what they are: it is the basis of what is estimated from the same network.
        rough: whether to guess from processes with far fewer images than a run has.
    """

    timed: Iterable[TimedProcess]
    basis: str = "records"
    rough: bool = False
    _rates: dict[bool, dict[tuple[Network, str], list[TimedProcess]]] = field(init=False)
    _heads: dict[str, list[TimedProcess]] = field(init=False)

    def __post_init__(self) -> None:
        self._rates, self._heads = {True: {}, False: {}}, {}
        processes = list({one.process: one for one in self.timed}.values())
        self._fixed = fmean(one.fixed for one in processes) if processes else 0.0
        for one in processes:
            recipe = _recipe(one.spec)
            if one.passes and one.network_seconds:
                # Whatever trains on features, they cost the same.
                which = (one.network, "" if one.kept else recipe)
                self._rates[one.kept].setdefault(which, []).append(one)
            if one.head_seconds is not None:
                self._heads.setdefault(recipe, []).append(one)

    def of(self, group: Group, counts: Counts, *, computed: bool = False) -> Estimate:
        """How long a group of runs takes.

        Args:
            group: the runs.
            counts: their images.
            computed: whether the features that they need are there.
        """
        spec = group.specs[0]
        kept = keeps(spec)
        passes = 0.0 if kept and computed else passes_of(group, counts)
        network = self._network((spec.variant, spec.image_size), _recipe(spec), kept, passes)
        head = self._head(_recipe(spec), counts.train) if kept else 0.0
        if network.seconds is None:
            return network
        seconds = self._fixed + network.seconds
        if head is None and (guessed := solving_time.seconds(spec, counts)):
            return Estimate(seconds + guessed, f"{network.basis}, {BY_SIZE}")
        if head is None and not passes:
            return Estimate(None, NO_HEAD)
        if head is None:
            return Estimate(seconds, f"{network.basis}, without the head")
        return Estimate(seconds + head, network.basis)

    def _network(self, network: Network, recipe: str, kept: bool, passes: float) -> Estimate:
        """Forward passes of a network."""
        if not passes:
            return Estimate(0.0, f"{self.basis}, features kept")
        for like in dict.fromkeys((kept, True)):
            rates = self._rates[like]
            alike = self._enough(rates.get((network, "" if like else recipe), ()), passes)
            if alike and like == kept:
                return Estimate(passes * _rate(alike), self.basis)
            others = [
                (_distance(other, network), other, rows)
                for (other, _), processes in rates.items()
                if (rows := self._enough(processes, passes))
            ]
            if others:
                _, nearest, rows = min(others, key=lambda row: row[:2])
                seconds = passes * _rate(rows) * _work(network) / _work(nearest)
                what = "" if like == kept else "features of "
                basis = f"{self.basis}, scaled from {what}{nearest[0]} at {nearest[1]}"
                return Estimate(seconds, basis)
        return Estimate(None)

    def _enough(self, processes: Iterable[TimedProcess], passes: float) -> list[TimedProcess]:
        least = 0.0 if self.rough else passes * _ENOUGH
        return [
            one
            for one in processes
            if (one.warm and (one.kept or one.network_seconds >= _BEGUN))
            or one.passes >= least
            or one.network_seconds >= _LONG
        ]

    def _head(self, recipe: str, images: int) -> float | None:
        """Seconds of training on features; None where nothing like it was measured."""
        measured: dict[int, list[float]] = {}
        for one in self._heads.get(recipe, ()):
            measured.setdefault(one.counts.train, []).append(one.head_seconds or 0.0)
        points = sorted((count, fmean(seconds)) for count, seconds in measured.items())
        if not points:
            return 0.0 if self.rough else None
        if not self.rough and not points[0][0] / _NEAR <= images <= points[-1][0] * _NEAR:
            return None
        for (below, low), (above, high) in pairwise(points):
            if below <= images <= above:
                return low + (high - low) * (images - below) / (above - below)
        count, seconds = points[0] if images < points[0][0] else points[-1]
        return seconds * images / count


def _rate(processes: list[TimedProcess]) -> float:
    """Seconds of a forward pass."""
    return sum(one.network_seconds for one in processes) / sum(one.passes for one in processes)


def _work(network: Network) -> int:
    """Multiply-adds of a forward pass."""
    return multiply_adds(VARIANTS[network[0]], network[1])


def _distance(one: Network, other: Network) -> float:
    return abs(math.log(_work(one) / _work(other)))


def total(estimates: Iterable[Estimate]) -> float | None:
    """Seconds of all together; None where those of one are not known."""
    seconds = [estimate.seconds for estimate in estimates]
    return None if None in seconds else math.fsum(filter(None, seconds))


def each_once(
    groups: Iterable[Group], estimate: Callable[[Group, bool], Estimate]
) -> list[Estimate]:
    """Estimates of groups that are done one after another: what they share is computed once.

    Args:
        groups: the groups.
        estimate: of a group, and whether the features that it needs are there.
    """
    there: set[str] = set()
    made = []
    for group in groups:
        made.append(estimate(group, group.features in there))
        there |= {group.features} - {""}
    return made
