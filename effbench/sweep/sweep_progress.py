"""How far sweeps have come, read from the files of their results folder alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic_core import from_json

from effbench.failures import handling
from effbench.records.store import FAILURE, RECORD, Store
from effbench.sweep import progress_files, queues
from effbench.sweep.groups import Group
from effbench.sweep.needs import estimates, timed_processes
from effbench.sweep.needs.estimates import Estimate, Estimator
from effbench.sweep.needs.timed_processes import Counts, TimedProcess
from effbench.sweep.progress_files import Running


@dataclass(frozen=True)
class FailedRun:
    """A run that failed: the kind of the failure, why, and what to do about it."""

    key: str
    kind: str
    message: str
    hint: str


@dataclass(frozen=True)
class RunningGroup:
    """Runs that somebody works on.

    Attributes:
        running: what their owner says.
        group: the group, where its sweep is written down.
        seconds: since it was begun.
        silent: seconds since its owner was last heard of.
        alive: whether others still leave it to its owner.
    """

    running: Running
    group: Group | None
    seconds: float
    silent: float
    alive: bool


@dataclass(frozen=True)
class Status:
    """The state of all runs of a results folder.

    Attributes:
        done: how many have a record.
        running: groups that somebody works on.
        waiting: keys of runs that nobody has begun.
        failed: those that no sweep tries again by itself.
        spent_seconds: that the finished runs took, each process once.
        left_seconds: work that is left, of one worker; None where nothing like it was measured.
        problems: files that cannot be read.
    """

    done: int
    running: tuple[RunningGroup, ...]
    waiting: tuple[str, ...]
    failed: tuple[FailedRun, ...]
    spent_seconds: float
    left_seconds: float | None
    problems: tuple[str, ...]

    @property
    def workers(self) -> int:
        """How many are at work."""
        return sum(one.alive for one in self.running)

    @property
    def open(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self.running or self.waiting)

    @property
    def until_done(self) -> float | None:
        """Seconds that the workers there are take for what is left; None if nobody can say."""
        if self.left_seconds is None or not self.workers:
            return None
        return self.left_seconds / self.workers


def read(store: Store) -> Status:
    """The state of all runs.

    Raises:
        EffbenchError: a sweep that is written down cannot be read.
    """
    done: set[str] = set()
    timed: list[TimedProcess] = []
    failures: dict[str, FailedRun] = {}
    problems: list[str] = []
    for folder in store.folders():
        try:
            if (folder / RECORD).exists():
                timed.append(timed_processes.read(folder / RECORD))
                done.add(folder.name)
            elif (folder / FAILURE).exists():
                failures[folder.name] = _failed(folder / FAILURE)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{folder}: cannot be read: {type(error).__name__}: {error}")
    waiting: dict[str, Group] = {}
    known: dict[str, Group] = {}
    counts: dict[str, Counts | None] = {}
    for queue in queues.read(store):
        execution = queue.request.options.execution
        tried = queue.tried()
        for group in queue.groups:
            known[group.name] = group
            counts[group.name] = queue.request.images
            if group.name in tried:
                continue
            for spec in group.specs:
                key = spec.key
                failure = failures.get(key)
                if key in done and not execution.force:
                    continue
                if (
                    failure is None
                    or execution.force
                    or execution.retry_failed
                    or handling(failure.kind).retried
                ):
                    waiting[key] = group
    seen = progress_files.read(store)
    running = tuple(
        RunningGroup(
            running=one.running,
            group=known.get(one.running.group),
            seconds=max(0.0, time.time() - one.running.since),
            silent=one.silent,
            alive=progress_files.alive(one),
        )
        for one in seen
    )
    at_work = {key for one in seen for key in one.running.keys}
    left = tuple(key for key in waiting if key not in at_work)
    open_groups = {waiting[key].name: waiting[key] for key in left}
    processes = {one.process: one.seconds for one in timed}
    return Status(
        done=len(done - at_work - waiting.keys()),
        running=running,
        waiting=left,
        failed=tuple(
            failure
            for key, failure in failures.items()
            if key not in at_work and key not in waiting
        ),
        spent_seconds=sum(processes.values()),
        left_seconds=_left(open_groups.values(), running, timed, counts),
        problems=tuple(problems),
    )


def as_json(status: Status, price: float | None) -> dict[str, object]:
    """The same as plain data: seconds, keys, counts, and dollars where there is a price an hour."""
    workers = max(1, status.workers)
    return {
        "done": status.done,
        "running": [
            {
                **asdict(one.running),
                "seconds": round(one.seconds, 1),
                "silent": round(one.silent, 1),
                "alive": one.alive,
            }
            for one in status.running
        ],
        "waiting": list(status.waiting),
        "failed": [asdict(failure) for failure in status.failed],
        "workers": status.workers,
        "spent_seconds": round(status.spent_seconds, 1),
        "left_seconds": None if status.left_seconds is None else round(status.left_seconds, 1),
        "seconds_until_done": (
            None if status.left_seconds is None else round(status.left_seconds / workers, 1)
        ),
        **({} if price is None else dollars(status, price)),
        "problems": list(status.problems),
    }


def dollars(status: Status, price: float) -> dict[str, float | None]:
    """What the runs have cost, and what is left of them, at a price for an hour of a worker."""
    left = status.left_seconds
    return {
        "dollars_spent": round(status.spent_seconds / 3600 * price, 2),
        "dollars_left": None if left is None else round(left / 3600 * price, 2),
    }


def _failed(path: Path) -> FailedRun:
    raw = from_json(path.read_bytes())
    kind = str(raw["kind"])
    return FailedRun(path.parent.name, kind, str(raw["message"]), handling(kind).told)


def _left(
    waiting: Iterable[Group],
    running: Iterable[RunningGroup],
    timed: Iterable[TimedProcess],
    counts: Mapping[str, Counts | None],
) -> float | None:
    """Seconds of work that is left; `counts` has the images of groups by their names."""
    estimator = Estimator(timed, rough=True)

    def takes(group: Group, computed: bool = False) -> Estimate:
        images = estimates.counted(group.specs[0], counts.get(group.name))
        return estimator.of(group, images, computed=computed)

    left = estimates.each_once(waiting, takes)
    for one in running:
        if one.group is not None:
            whole = takes(one.group)
            if whole.seconds is not None:
                whole = replace(whole, seconds=max(0.0, whole.seconds - one.seconds))
            left.append(whole)
    return estimates.total(left)
