"""The processors of this machine: how many this process may use, and what they can do."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def counted() -> str:
    """The same in words: "2 cores"."""
    count = cores()
    return f"{count} core{'s' * (count != 1)}"


def instructions() -> str:
    """What this processor can execute, as the system lists it; "" where it does not.

    Processors of one name may differ in it, e.g. two machines of a cloud.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return line.partition(":")[2].strip()
    return ""
