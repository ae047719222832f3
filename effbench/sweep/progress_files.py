"""Who works on what at the moment: results/.running/<group>.json, written by its owner."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from effbench import cache, leases
from effbench.files import writing
from effbench.progress import Step
from effbench.records.store import Store
from effbench.sweep.groups import Group

# The time between two writes of one phase.
EVERY_SECONDS = 5.0

# Phases that come before those in which a group computes with its features.
_BEFORE_FEATURES = ("", "start", "build", "download", "wait", "features")

# Names what a worker has of its machine, e.g. "gpu 0"; the launcher sets it.
SHARE = "EFFBENCH_SHARE"


@dataclass(frozen=True)
class Running:
    """What the owner of a group says of it.

    Attributes:
        group: its name.
        keys: of its runs.
        host: the machine.
        share: what the worker has of it, "" for all.
        process: number of the owner's process.
        since: `time.time()` when it was begun, by the machine's clock.
        written: likewise, when this was written.
        cache: names the cache that features go to.
        features: as in a `Group`.
        needs: bytes of memory that it is expected to take.
        step: progress so far.
        deaths_before: the `takeovers.Toll` of the group when it was begun; likewise the others.
    """

    group: str
    keys: tuple[str, ...]
    host: str
    share: str
    process: int
    since: float
    written: float
    cache: str
    features: str
    needs: int
    step: Step
    deaths_before: int = 0
    saved_before: float = 0.0
    features_before: int = 0

    @property
    def computes_features(self) -> bool:
        """Whether features that others need are not all there yet."""
        return bool(self.features) and self.step.phase in _BEFORE_FEATURES


@dataclass(frozen=True)
class Seen:
    """What is known of a group that somebody works on; `silent`: seconds without a heartbeat."""

    running: Running
    silent: float


@dataclass(frozen=True)
class LeftBehind:
    """What a worker that died said of its group; `touched`: when, by the folder's clock."""

    running: Running
    touched: float


_RUNNING = TypeAdapter(Running)


def left_behind(store: Store, group: Group) -> LeftBehind | None:
    """The file of a group that nobody holds the lease of, if there is one."""
    path = _home(store) / f"{group.name}.json"
    try:
        return LeftBehind(_RUNNING.validate_json(path.read_bytes()), path.stat().st_mtime)
    except (OSError, ValidationError):
        return None


@contextmanager
def noted(
    store: Store,
    group: Group,
    needs: int = 0,
    *,
    deaths: int = 0,
    saved: float = 0.0,
    features: int = 0,
) -> Iterator[Callable[[Step], None]]:
    """Keeps the file of a group as long as the block takes; call it with each step.

    Args:
        store: of the results folder.
        group: the group.
        needs: as in `Running`.
        deaths: as in a `takeovers.Toll`; likewise the others.
        saved: likewise.
        features: likewise.
    """
    now = time.time()
    share = os.environ.get(SHARE, "")
    path = _home(store) / f"{group.name}.json"
    running = Running(
        group=group.name,
        keys=tuple(spec.key for spec in group.specs),
        host=socket.gethostname(),
        share=share,
        process=os.getpid(),
        since=now,
        written=now,
        cache=cache.identity(),
        features=group.features,
        needs=needs,
        step=Step("start"),
        deaths_before=deaths,
        saved_before=saved,
        features_before=features,
    )
    _write(path, running)
    due = time.monotonic() + EVERY_SECONDS

    def note(step: Step) -> None:
        nonlocal running, due
        if step.phase == running.step.phase and time.monotonic() < due:
            return
        due = time.monotonic() + EVERY_SECONDS
        running = replace(running, written=time.time(), step=step)
        _write(path, running)

    try:
        yield note
    finally:
        path.unlink(missing_ok=True)


def read(store: Store) -> list[Seen]:
    """All groups that somebody holds the lease of, as their owners tell of them."""
    there = []
    for path in sorted(_home(store).glob("*.json")):
        try:
            beat = store.lease(path.stem).stat().st_mtime
            running = _RUNNING.validate_json(path.read_bytes())
        except (OSError, ValidationError):  # it ended meanwhile, or its owner is long dead
            continue
        there.append(Seen(running, max(0.0, time.time() - beat)))
    return there


def alive(seen: Seen) -> bool:
    """Whether the owner was heard of while its lease holds."""
    return seen.silent <= leases.seconds()


def _write(path: Path, running: Running) -> None:
    """Writes it whole, but not durably: after a power cut nobody works on it anyway."""
    part = path.with_suffix(".part")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_RUNNING.dump_json(running))
        part.replace(path)


def _home(store: Store) -> Path:
    return store.directory / ".running"
