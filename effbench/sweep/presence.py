"""Which workers look at a results folder: results/.workers/<host>.<process>.lease, kept fresh.

Who sees nobody else, where others are at work, looks at a folder that is not shared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from effbench import leases
from effbench.files import writer, writing
from effbench.records.store import Store

# Clocks that differ by more spoil what is said of times; leases do without them.
CLOCK_SECONDS = 120.0


@dataclass(frozen=True)
class Others:
    """The other workers: "host process" each; and lines on what is odd here."""

    names: tuple[str, ...]
    remarks: tuple[str, ...]


@contextmanager
def announced(store: Store) -> Iterator[Others]:
    """Makes this process known as long as the block takes.

    Raises:
        DiskError: the folder cannot be written.
    """
    home = store.directory / ".workers"
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        mine = leases.lease(home / f"{writer()}.lease")
        mine.take()
    try:
        ahead = time.time() - (home / f"{writer()}.lease").stat().st_mtime
        names = []
        for path in sorted(home.glob("*.lease")):
            if path.stem != writer() and _age(path, ahead) <= leases.seconds():
                host, _, process = path.stem.rpartition(".")
                names.append(f"{host} {process}")
        yield Others(tuple(names), tuple(_clock(ahead)))
    finally:
        mine.release()


def _age(path: Path, ahead: float) -> float:
    """Seconds since a file was touched, by the clock of the folder's server."""
    try:
        return time.time() - ahead - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _clock(ahead: float) -> Iterator[str]:
    if abs(ahead) > CLOCK_SECONDS:
        way = "ahead of" if ahead > 0 else "behind"
        yield (
            f"the clock of this machine is {abs(ahead) / 60:.0f} minutes {way} that of the shared "
            "folder: times of its runs will be wrong by as much; set it, e.g. by NTP"
        )
