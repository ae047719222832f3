"""Room for a set of pixels: how much there is, and which sets give way."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from effbench.data.pixels.pixel_set import ABOUT
from effbench.errors import DiskError
from effbench.files import writing

HINT = (
    "free some space, set --cache-gb, name a folder on another disk with EFFBENCH_CACHE, or take "
    "a smaller --image-size"
)


def make(folder: Path, home: Path, size: int, cache_gb: float | None, to_come: int = 0) -> None:
    """Removes sets, those used longest ago first, until another one fits.

    Args:
        folder: the folder of all sets.
        home: the folder of the set that is to fit; what it holds already counts as free.
        size: bytes that it will take.
        cache_gb: gigabytes that all sets may take; None for half of what is free without them.
        to_come: bytes of sets that are to fit beside it, but not yet; some may be there already.

    Raises:
        DiskError: it does not fit.
    """
    sets = {path: _bytes(path) for path in folder.glob("*/")}
    mine = sets.pop(home, 0)
    free = shutil.disk_usage(folder).free
    limit = (free + mine + sum(sets.values())) / 2 if cache_gb is None else cache_gb * 1e9
    which = "half of the free disk" if cache_gb is None else "--cache-gb"
    wanted, most = size + to_come, free + mine + sum(sets.values())
    if wanted > limit:
        raise _too_large(wanted, f"{gigabytes(limit)} are allowed ({which})")
    if wanted > most:  # whatever gave way
        other = ", other cached pixels counted as free" if sets else ""
        raise _too_large(wanted, f"{gigabytes(most)} are free{other}")
    for path in sorted(sets, key=_used):
        if size + sum(sets.values()) <= limit and size <= free + mine:
            return
        if _removed(path):
            free += sets.pop(path)
    taken = sum(sets.values())
    if size > free + mine:
        raise _too_large(size, f"{gigabytes(free + mine)} are free")
    if size + taken > limit:
        other = f"of which other runs read {gigabytes(taken)} at this moment"
        raise _too_large(size, f"{gigabytes(limit)} are allowed ({which}), {other}")


def _too_large(size: int, room: str) -> DiskError:
    received = f"{gigabytes(size)} where {room}"
    return DiskError("the pixels do not fit into the cache", received, HINT)


def gigabytes(size: float) -> str:
    """So many bytes for a reader."""
    return f"{size / 1e9:,.2f} GB" if size >= 1e8 else f"{size / 1e6:,.2f} MB"


def _removed(home: Path) -> bool:
    """Removes a set, unless a process makes it or reads it."""
    lock = FileLock(home.with_suffix(".lock"))
    try:
        with lock.acquire(timeout=0):
            for path in home.glob("*.u8"):
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with writing(home):
                shutil.rmtree(home)
    except (Timeout, BlockingIOError):
        return False
    return True


def _used(home: Path) -> float:
    """When a set was last opened."""
    about = home / ABOUT
    return about.stat().st_mtime if about.exists() else 0.0


def _bytes(home: Path) -> int:
    """The room that a set takes on the disk."""
    return sum(path.stat().st_blocks * 512 for path in home.glob("*"))
