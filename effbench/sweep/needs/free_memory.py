"""Whether there is memory for a group beside those that run on this machine already."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator

import psutil
from pydantic_core import from_json

from effbench.records.store import RECORD, Store
from effbench.sweep.groups import Group
from effbench.sweep.needs import memory_needed
from effbench.sweep.progress_files import Running

# What a process of TensorFlow takes before its first image (measured on a CPU: 0.9 to 1.3 GB).
_STARTED = 1_300_000_000


class Memory:
    """The memory of this machine, and what groups are expected to take of it."""

    def __init__(self, store: Store) -> None:
        """`store` has records of what others took."""
        self._store = store
        self._peaks: dict[str, int] = {}

    def needed(self, group: Group) -> int:
        """Bytes that a group takes: what runs alike took, or else an estimate."""
        spec = group.specs[0]
        alike = spec.group.rpartition("-")[0]
        if alike not in self._peaks:
            peaks = list(_measured(self._store, alike))
            if not peaks:
                # Little is known: of which kind of device, and into how many it is divided.
                return _STARTED + memory_needed.at_least(spec, "cpu", 1)[1]
            self._peaks[alike] = max(peaks)
        return self._peaks[alike]

    def ready(self, needs: int, running: Iterable[Running]) -> bool:
        """Whether so much is free beside what runs here; always, where nothing does."""
        here = socket.gethostname()
        beside = [one for one in running if one.host == here and psutil.pid_exists(one.process)]
        if not beside:
            return True
        promised = sum(max(0, one.needs - _held(one)) for one in beside)
        return psutil.virtual_memory().available - promised >= needs


def _measured(store: Store, alike: str) -> Iterator[int]:
    for path in store.directory.glob(f"runs/{alike}-*/{RECORD}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            yield int(from_json(path.read_bytes())["provenance"]["peak_memory"])


def _held(running: Running) -> int:
    """Bytes that the processes of a group hold now."""
    with contextlib.suppress(psutil.Error):
        owner = psutil.Process(running.process)
        family = [owner, *owner.children(recursive=True)]
        return sum(process.memory_info().rss for process in family)
    return 0
