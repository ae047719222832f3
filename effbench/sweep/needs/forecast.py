"""How long a sweep will take, before it starts: from its folder's records, or a short trial."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from effbench import cache
from effbench.engines import engine_table
from effbench.engines.engine_table import AUTO
from effbench.hardware import machine
from effbench.records.store import RECORD, Store
from effbench.sweep import groups, scheduler
from effbench.sweep.groups import Group
from effbench.sweep.needs import estimates, timed_processes
from effbench.sweep.needs.estimates import Estimate, Estimator, counted
from effbench.sweep.needs.timed_processes import Counts, TimedProcess
from effbench.sweep.resolve import Request
from effbench.sweep.targets import Target
from effbench.training.features.feature_cache import CHUNK, few_pixels

# Multiply-adds of which a trial is worth its start, by kind of device: a minute of two cores, or of
# an H100.
_WORTH = {"cpu": 5e12, "gpu": 1e15, "tpu": 1e15}
_RECORDS = "records"
_MEASURED = "measured for 2 s"

# Times a few forward passes of the network of a group; None where it cannot.
Trial = Callable[[Request, Group], TimedProcess | None]


@dataclass(frozen=True)
class ForecastRow:
    """Runs of one network by one recipe that a sweep is going to do.

    Attributes:
        variant: its name.
        image_size: pixels.
        recipe: its name.
        runs: how many there are.
        images: that each trains on.
        estimate: of all of them, one group after the other.
    """

    variant: str
    image_size: int
    recipe: str
    runs: int
    images: int
    estimate: Estimate


@dataclass(frozen=True)
class Forecast:
    """What a sweep is going to do.

    Attributes:
        rows: in the order of the runs; none where all is done.
        device_name: of the machine whose records say so; "" for this one.
        small: whether nobody measured what is not known because it is too little.
    """

    rows: tuple[ForecastRow, ...]
    device_name: str = ""
    small: bool = False

    @property
    def runs(self) -> int:
        """How many."""
        return sum(row.runs for row in self.rows)

    @property
    def seconds(self) -> float | None:
        """Of everything, one group after the other; None where those of a part are not known."""
        return estimates.total(row.estimate for row in self.rows)

    @property
    def basis(self) -> str:
        """What says so, in a few words; "" for nothing."""
        texts = [row.estimate.basis for row in self.rows if row.estimate.seconds is not None]
        sources = {
            _RECORDS: f"records of {self.device_name or 'this machine'}",
            _MEASURED: "a trial of 2 s",
        }
        named = [name for start, name in sources.items() if any(start in text for text in texts)]
        scaled = sum("scaled" in text for text in texts)
        words = [" and ".join(named)]
        words += ["scaled" if scaled == len(texts) else "some scaled"] * bool(scaled)
        words += ["without heads"] * any("without" in text for text in texts)
        words += ["heads by their size"] * any(estimates.BY_SIZE in text for text in texts)
        return ", ".join(words)


def of(request: Request, store: Store, trial: Trial | None = None, *, all_: bool) -> Forecast:
    """How long the runs take that are not done.

    Args:
        request: the sweep.
        store: has the records of others.
        trial: where no record says it, this measures it.
        all_: whether it does even if there is little to do.
    """
    todo = _open(request, store)
    if not todo:
        return Forecast(())
    device = request.target.device
    timed = [one for one in _read(store) if one.spec.precision == request.target.precision]
    timed, device_name = _of_one_machine(timed, request)
    there = {group.name for group in todo if _computed(group, _counts(group, request), timed)}

    def takes(timed: Sequence[TimedProcess], basis: str) -> Callable[[Group, bool], Estimate]:
        known: dict[str, Estimator] = {}

        def estimate(group: Group, computed: bool) -> Estimate:
            counts, made = _counts(group, request), Estimate(None)
            for engine in _engines(request.target, group, counts):
                if engine not in known:
                    known[engine] = Estimator([x for x in timed if x.engine == engine], basis)
                made = known[engine].of(group, counts, computed=computed or group.name in there)
                if made.seconds is not None:
                    break
            return made

        return estimate

    made = estimates.each_once(todo, takes(timed, _RECORDS))
    unknown = [group for group, one in zip(todo, made, strict=True) if one == Estimate(None)]
    work = {group: estimates.work(group, _counts(group, request)) for group in unknown}
    little = sum(work.values()) < _WORTH[device] and not all_
    if unknown and trial is not None and not little:
        measured = trial(request, min(unknown, key=work.__getitem__))
        if measured is not None:
            heads = [replace(one, passes=0.0, fixed=measured.fixed) for one in timed]
            again = estimates.each_once(todo, takes([measured, *heads], _MEASURED))
            made = [
                new if old.seconds is None else old for old, new in zip(made, again, strict=True)
            ]
    return Forecast(_rows(todo, made, request), device_name, small=bool(unknown) and little)


def _open(request: Request, store: Store) -> list[Group]:
    """What is to be done, as groups."""
    execution = request.options.execution

    def done(key: str) -> bool:
        return not execution.force and (store.folder(key) / RECORD).exists()

    left = [spec for spec in request.specs if not done(spec.key)]
    states = scheduler.states(replace(request, specs=tuple(left)), store)
    return groups.of(spec for spec in left if states[spec.key] == "run")


def _read(store: Store) -> list[TimedProcess]:
    timed = []
    for path in store.directory.glob(f"runs/*/{RECORD}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            timed.append(timed_processes.read(path))
    return timed


def _of_one_machine(
    timed: Sequence[TimedProcess], request: Request
) -> tuple[list[TimedProcess], str]:
    """Those of the device that the runs will have, and its name unless it is this machine's CPU."""
    alike = [one for one in timed if one.device == request.target.device]
    if request.target.device == "cpu" and not request.options.device.elsewhere:
        here = machine.cpu_name()
        return [one for one in alike if one.device_name == here], ""
    # Its own name is only known once it has started, which takes as long as a short run.
    name = max(alike, key=lambda one: one.when).device_name if alike else ""
    return [one for one in alike if one.device_name == name], name


def _counts(group: Group, request: Request) -> Counts:
    return counted(group.specs[0], request.images)


def _engines(target: Target, group: Group, counts: Counts) -> list[str]:
    """What may run a group, what is most likely first."""
    spec = group.specs[0]
    if target.engine != AUTO:
        return [target.engine]
    kept = timed_processes.keeps(spec)
    first = engine_table.choose(AUTO, target.device, kept).name
    few = few_pixels(counts.all, spec.image_size) and spec.precision == "float32"
    if few and not engine_table.ENGINES[first].runs_steps:
        first = "tensorflow"
    return list(dict.fromkeys((first, *engine_table.AUTO_ORDER[target.device])))


def _computed(group: Group, counts: Counts, timed: Sequence[TimedProcess]) -> bool:
    """Whether the features of a group are in the cache, as a record says that they once were."""
    spec = group.specs[0]
    if not group.features:
        return False
    weights = {
        one.weights_sha256
        for one in timed
        if one.network == (spec.variant, spec.image_size)
        and Group((one.spec,)).features == group.features
    }
    name = f"{spec.variant}-{spec.image_size}-{spec.preprocessing}-{spec.precision}-*"
    kept = {
        len(list(folder.glob("*.npy")))
        for folder in (cache.features().glob(name) if weights else ())
        if _weights(folder) in weights
    }
    # In a set of all images, as once, or in one of each split.
    whole, *parts = (math.ceil(images / CHUNK) for images in (counts.all, *counts.splits))
    return whole in kept or (bool(parts) and kept.issuperset(parts))


def _weights(folder: Path) -> str | None:
    """The weights of a set of features: the hash of their file, "" for random ones."""
    try:
        text = str(json.loads((folder / "about.json").read_bytes())["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return "" if text.startswith("random") else text


def _rows(
    todo: Sequence[Group], made: Sequence[Estimate], request: Request
) -> tuple[ForecastRow, ...]:
    """The estimates of groups, those of one network and recipe together."""
    together: dict[tuple[str, int, str], list[tuple[Group, Estimate]]] = {}
    for group, estimate in zip(todo, made, strict=True):
        spec = group.specs[0]
        which = (spec.variant, spec.image_size, spec.recipe.name)
        together.setdefault(which, []).append((group, estimate))
    return tuple(
        ForecastRow(
            *which,
            runs=sum(len(group.specs) for group, _ in members),
            images=_counts(members[0][0], request).train,
            estimate=Estimate(
                estimates.total(one for _, one in members),
                "; ".join(dict.fromkeys(one.basis for _, one in members if one.basis)),
            ),
        )
        for which, members in together.items()
    )
