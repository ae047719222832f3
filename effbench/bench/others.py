"""What other programs use of a machine while one of ours is timed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil


@dataclass
class OtherPrograms:
    """Cores that other programs used, on average; known once the block ends."""

    cores: float = 0.0


@contextmanager
def during(process: int) -> Iterator[OtherPrograms]:
    """A block in which a process works; nothing is known of one that ends in it."""
    others = OtherPrograms()
    began, busy, used = time.perf_counter(), _busy(), _used(process)
    yield others
    seconds = time.perf_counter() - began
    others.cores = max(0.0, (_busy() - busy - (_used(process) - used)) / seconds)


def _used(process: int) -> float:
    """Seconds of all cores that a process used so far."""
    try:
        times = psutil.Process(process).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _busy() -> float:
    """Seconds of all cores that all programs used since the machine was started."""
    times = psutil.cpu_times()
    idle: float = times.idle + getattr(times, "iowait", 0.0)
    # Guests are counted among the others as well.
    guests: float = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return sum(times) - idle - guests
