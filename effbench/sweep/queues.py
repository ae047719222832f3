"""Sweeps written down in their results folder, so that any machine that sees it can take part.

results/.queue/<name>/request.json says what to run, and results/.queue/<name>/done/ has an empty
file for each group that was tried, whatever came of it. A sweep removes its own once all is tried.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from effbench.config.run_spec import digest
from effbench.errors import EffbenchError, one_line
from effbench.files import write_atomically, writing
from effbench.records import search_files
from effbench.records.store import Store
from effbench.sweep import groups
from effbench.sweep.groups import Group
from effbench.sweep.resolve import Request

_REQUEST = TypeAdapter(Request)
_FILE = "request.json"


@dataclass(frozen=True)
class Here:
    """Where this machine has what the sweep's has elsewhere; None for the same path."""

    data_dir: Path | None = None
    weights_dir: Path | None = None

    def localized(self, request: Request) -> Request:
        """The request with the paths of this machine."""
        networks = request.options.networks
        if self.weights_dir is not None:
            networks = replace(networks, weights_dir=self.weights_dir)
        return replace(
            request,
            options=replace(request.options, networks=networks),
            data_dir=self.data_dir.resolve() if self.data_dir else request.data_dir,
        )


SAME_PATHS = Here()


@dataclass(frozen=True)
class Queue:
    """A sweep that is written down.

    Attributes:
        folder: where.
        request: what to run.
        groups: its groups, in the order in which several workers take them.
    """

    folder: Path
    request: Request
    groups: tuple[Group, ...] = field(repr=False)

    @property
    def begun(self) -> float:
        """`time.time()` when it was written down, by the folder's clock; 0 where it is over."""
        try:
            return (self.folder / _FILE).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def tried(self) -> set[str]:
        """The names of the groups that were tried."""
        try:
            return set(os.listdir(self.folder / "done"))  # noqa: PTH208 (of ten thousand files)
        except FileNotFoundError:  # the sweep is over
            return {group.name for group in self.groups}

    def open(self) -> list[Group]:
        """Its groups that were not tried, in their order."""
        tried = self.tried()
        return [group for group in self.groups if group.name not in tried]

    def was_tried(self, group: Group) -> bool:
        """Whether a group was tried since the sweep began."""
        there = (self.folder / "done" / group.name).exists()
        return there or not (self.folder / _FILE).exists()

    def settle(self, group: Group) -> None:
        """Notes that a group was tried."""
        try:
            (self.folder / "done" / group.name).touch()
        except FileNotFoundError:  # likewise
            return

    def close(self) -> None:
        """Removes it, if all is tried."""
        if {group.name for group in self.groups} <= self.tried():
            # First, so that no group seems untried to others while the rest is removed.
            with contextlib.suppress(OSError):
                (self.folder / _FILE).unlink()
            shutil.rmtree(self.folder, ignore_errors=True)


def write(store: Store, request: Request) -> Queue:
    """Writes a sweep down; the same sweep again begins anew with what is not done.

    Raises:
        DiskError: it cannot be written.
    """
    store.prepare()
    search_files.keep(store, request.searches)
    made = groups.of(request.specs)
    keys = [spec.key for spec in request.specs]
    folder = _home(store) / f"{len(keys)}-runs-{digest(keys)[:12]}"
    shutil.rmtree(folder / "done", ignore_errors=True)
    with writing(folder):
        (folder / "done").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _FILE, _REQUEST.dump_json(request))
    return Queue(folder, request, tuple(groups.ordered(made)))


def read(
    store: Store,
    known: Collection[Queue] = (),
    here: Here = SAME_PATHS,
    only: Path | None = None,
) -> list[Queue]:
    """All that are written down, the oldest first.

    Args:
        store: of the results folder.
        known: those that were read before, which are not read again.
        here: the paths of this machine.
        only: the folder of the one to read; None for all.

    Raises:
        EffbenchError: one of them cannot be read.
    """
    before = {queue.folder: queue for queue in known}
    files = []
    for file in _home(store).glob(f"{only.name if only else '*'}/{_FILE}"):
        try:
            files.append((file.stat().st_mtime, file))
        except FileNotFoundError:  # closed meanwhile
            continue
    there = []
    for _, file in sorted(files):
        queue = before.get(file.parent) or _read(file, here)
        if queue is not None:
            there.append(queue)
    return there


def _home(store: Store) -> Path:
    return store.directory / ".queue"


def _read(file: Path, here: Here) -> Queue | None:
    try:
        request = here.localized(_REQUEST.validate_json(file.read_bytes()))
    except FileNotFoundError:  # closed meanwhile
        return None
    except (OSError, ValidationError) as error:
        raise EffbenchError(
            "cannot read what a sweep is to run",
            f"{file}: {one_line(str(error))[:200]}",
            "use the effbench that wrote it, or delete its folder",
        ) from error
    return Queue(file.parent, request, tuple(groups.ordered(groups.of(request.specs))))
