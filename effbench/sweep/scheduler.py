"""The sweep: it skips finished runs and gives the others to workers, which save each at once.

Several processes, on any machines that share the results folder, can do so at the same time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import LeaseSettingsMismatch, Timeout

from effbench import cache
from effbench.config.run_spec import RunSpec
from effbench.config.sweep_options import ExecutionOptions
from effbench.engines.engine_table import AUTO
from effbench.errors import Interrupted, UsageError
from effbench.failures import handling
from effbench.hardware import machine, tpu
from effbench.leases import SECONDS, Claim, Lease
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.sweep import groups, progress_files, queues, takeovers
from effbench.sweep.attempt import Attempt
from effbench.sweep.events import Event, Listen
from effbench.sweep.groups import Group
from effbench.sweep.needs.free_memory import Memory
from effbench.sweep.queues import SAME_PATHS, Here, Queue
from effbench.sweep.resolve import Request
from effbench.sweep.worker_process import Work

# The time between two looks at what others are doing, where there is nothing else to do.
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class SweepCounts:
    """How many runs of a sweep were saved, failed, were finished before, or had failed before."""

    saved: int
    failed: int
    finished: int
    failed_before: int


class Counting:
    """Counts what becomes of runs on the way to those who listen."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._counts = dict.fromkeys(("saved", "failed", "finished", "failed before"), 0)

    def __call__(self, event: Event) -> None:
        """Counts an event, and passes it on."""
        if event.state in self._counts:
            self._counts[event.state] += len(event.specs)
        self._listen(event)

    @property
    def counts(self) -> SweepCounts:
        """What it has counted."""
        return SweepCounts(*self._counts.values())


def states(request: Request, store: Store) -> dict[str, str]:
    """What the sweep would do with each run, by key: "run", "finished" or "failed before"."""
    return {spec.key: _state(request.options.execution, store, spec) for spec in request.specs}


def run(request: Request, store: Store, listen: Listen) -> SweepCounts:
    """Does the runs of `request` that are not done yet; each is on disk as soon as it is finished.

    Groups that another sweep is working on are left for the end, and then only waited for.

    Raises:
        EffbenchError: nothing more can be done, e.g. there is no such device or the disk is full.
    """
    return (_lead if request.target.chief else _follow)(request, store, listen)


def _follow(request: Request, store: Store, listen: Listen) -> SweepCounts:
    """Takes part in what the chief of several hosts does; what is written here is thrown away."""
    execution = request.options.execution
    todo = tuple(spec for spec in request.specs if _state(execution, store, spec) == "run")

    def heard(event: Event) -> None:
        listen(replace(event, text="by the chief") if event.state == "saved" else event)

    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        return _lead(replace(request, specs=todo), Store(Path(folder)), heard)


def _lead(request: Request, store: Store, listen: Listen) -> SweepCounts:
    queue = queues.write(store, request)
    heard = Counting(listen)
    busy = [
        group
        for group in groups.of(request.specs)
        if not settle(queue, store, group, heard, wait=False)
    ]
    for group in busy:
        heard(Event(group.specs, "waiting"))
        while not settle(queue, store, group, heard, wait=True):
            pass
    queue.close()
    return heard.counts


@dataclass(frozen=True)
class Taking:
    """How a worker takes part in sweeps.

    Attributes:
        here: the paths of this machine.
        only: the folder of the one sweep to take part in; None for all.
        most: how many groups to do; None for all that are open.
        cut_short: called with the sweep and the group if it is interrupted, before others may take
            the group.
        work: as in an `Attempt`; if it is not None, runs take no memory and no device of this
            machine.
    """

    here: Here = SAME_PATHS
    only: Path | None = None
    most: int | None = None
    cut_short: Callable[[Queue, Group], None] | None = None
    work: Work | None = None


ALL = Taking()


def take(store: Store, listen: Listen, how: Taking = ALL) -> SweepCounts:
    """Does open runs of the sweeps that are written down in a folder, until there are none.

    What others work on is waited for: they may die, and then it is open again.

    Raises:
        EffbenchError: as `run`.
    """
    heard = Counting(listen)
    known: list[Queue] = []
    mine: set[str] = set()
    told: set[str] = set()
    memory = Memory(store)
    done = 0
    while done != how.most and (known := queues.read(store, known, how.here, how.only)):
        for queue in known if how.work is None else ():
            wanted = queue.request.options.device
            machine.device(queue.request.target.device, tpu.named(wanted.tpu_name))
        taken = _one(known, store, heard, how, memory, mine)
        if taken is not None:
            done += 1
            mine |= {taken} - {""}
            told.clear()
            continue
        for queue in known:
            queue.close()
        elsewhere = {seen.running.group for seen in progress_files.read(store)}
        left = [group for queue in known for group in queue.open()]
        for group in left:
            if group.name in elsewhere - told:
                told.add(group.name)
                heard(Event(group.specs, "waiting"))
        if left:
            time.sleep(LOOK_SECONDS)
    for queue in known:
        queue.close()
    return heard.counts


def _one(
    known: list[Queue],
    store: Store,
    listen: Listen,
    how: Taking,
    memory: Memory,
    mine: set[str],
) -> str | None:
    """Settles one group; the features that it needed, "" for none; None if there was no group."""
    here = cache.identity()
    for queue in known:
        seen = [seen.running for seen in progress_files.read(store)]
        computing = (one for one in seen if one.computes_features and one.cache == here)
        busy = {one.features: one.group for one in computing}
        for group in groups.choices(queue.open(), mine, busy):
            needs = memory.needed(group) if how.work is None else 0
            if memory.ready(needs, seen) and settle(
                queue, store, group, listen, wait=False, told=True, how=how, needs=needs
            ):
                return group.features
    return None


def settle(
    queue: Queue,
    store: Store,
    group: Group,
    listen: Listen,
    *,
    wait: bool,
    told: bool = False,
    how: Taking = ALL,
    needs: int = 0,
) -> bool:
    """Runs a group while nobody else does.

    Args:
        queue: the sweep that it is of.
        store: of the results folder.
        group: the runs.
        listen: told of everything.
        wait: for whoever works on it now.
        told: whether whoever has tried the group since the sweep began tells the same listener.
        how: its `cut_short` and `work` count.
        needs: bytes of memory that it is expected to take.

    Returns:
        False if somebody does and we are not to wait, or has taken it over.

    Raises:
        EffbenchError: as `run`.
    """
    execution = queue.request.options.execution
    lease = store.lock(group.name)
    try:
        with lease.take(wait=wait, every=LOOK_SECONDS / 5):
            tried = queue.was_tried(group)
            if tried and told:
                return True
            if wait or tried:  # what others did meanwhile is done, even for --force
                execution = replace(execution, force=False)
            todo = []
            for spec in group.specs:
                state = _state(execution, store, spec)
                if state == "run" and not tried:
                    todo.append(spec)
                    continue
                failure = None if state == "finished" else store.failure(spec.key)
                text = failure.message if failure else _about(queue.request, store, spec)
                listen(Event((spec,), "failed before" if failure else "finished", text=text))
            if todo and not _done(queue, store, Group(tuple(todo)), lease, listen, how, needs):
                return False
            queue.settle(group)
    except Timeout:
        return False
    except LeaseSettingsMismatch as error:
        rule = f"all machines that share a folder need the same {SECONDS}"
        raise UsageError(rule, str(error), "set it on all of them, or on none") from error
    return True


def _done(
    queue: Queue,
    store: Store,
    group: Group,
    lease: Lease,
    listen: Listen,
    how: Taking,
    needs: int,
) -> bool:
    """Runs a group under its lease, or gives it up; whether nobody has taken it over."""
    claim = Claim(store.lease(group.name), lease.token or "")
    toll = takeovers.toll(store, queue, group)
    with progress_files.noted(
        *(store, group, needs), deaths=toll.deaths, saved=toll.saved, features=toll.features
    ) as note:

        def heard(event: Event) -> None:
            if event.step is not None:
                note(event.step)
            listen(event)

        def lost() -> bool:
            return lease.compromise is not None

        attempt = Attempt(queue.request, store, claim, lost, heard, how.work)
        try:
            if toll.problem is None:
                attempt.run(group.specs)
            else:
                attempt.give_up(group.specs, toll.problem)
        except Interrupted:
            if how.cut_short is not None:
                how.cut_short(queue, group)
            raise
    return claim.holds()


def _state(execution: ExecutionOptions, store: Store, spec: RunSpec) -> str:
    if store.finished(spec.key) and not execution.force:
        return "finished"
    failure = store.failure(spec.key)
    if failure is None or execution.retry_failed or execution.force:
        return "run"
    if handling(failure.kind).retried:
        return "run"
    if store.resumed(spec.key):  # a retry that was interrupted
        return "run"
    return "failed before"


def _about(request: Request, store: Store, spec: RunSpec) -> str:
    """What there is to know of a run that is finished."""
    doubt, asked = store.doubt(spec.key), request.options.device.engine
    if doubt or asked == AUTO:
        return doubt
    record = store.read(spec.key)
    if not isinstance(record, RunResult):
        return ""
    engine = record.provenance.engine or "tensorflow"
    if asked == engine:
        return ""
    return f"by {engine}, which counts as the same run; --force repeats it by {asked}"
