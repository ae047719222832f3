"""Leases: who works on what, among any number of machines that share a folder.

A lock of the operating system goes with its process, but can hang on NFS and be local to a machine
on other shared file systems. A lease is a file that its owner touches again and again. Once nobody
has touched it for as long as it holds, another machine takes it over; on the owner's own machine
that is at once, as the process is seen to be gone. Clocks need not agree: who waits counts the
seconds by its own.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import AcquireReturnProxy, SoftFileLease

from effbench.errors import UsageError

# Says for how many seconds a lease holds, for all machines that share a folder.
SECONDS = "EFFBENCH_LEASE_SECONDS"
# A machine may be silent for so long, e.g. while it swaps or its network is away.
USUAL_SECONDS = 60.0
# Of the time that a lease holds: a second one is due before a first that was lost costs anything.
_HEARTBEAT = 1 / 6


def seconds() -> float:
    """For how long a lease holds that nobody touches.

    Raises:
        UsageError: the environment says what is no such number.
    """
    text = os.environ.get(SECONDS) or str(USUAL_SECONDS)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 1):
        raise UsageError(f"{SECONDS} is a number from 1 on", text, "leave it out for 60")
    return value


class Lease(SoftFileLease):
    """A lease that also ends where its owner died before it had written who it is.

    Such a file is empty, and filelock lets it be: versions before 3.22 wrote no more than that.
    """

    _unwritten_since: tuple[tuple[int, int], float] | None = None

    def take(self, *, wait: bool = False, every: float = 0.05) -> AcquireReturnProxy:
        """Takes it, as a context manager.

        Args:
            wait: for its owner to end it, or to be silent for its time.
            every: seconds between two looks.

        Raises:
            Timeout: somebody holds it, and we are not to wait.
        """
        look = self._remove_unwritten
        return self.acquire(-1 if wait else 0, every, cancel_check=look)

    def _remove_unwritten(self) -> bool:
        """Removes a file that this very lease has seen empty for its time; never gives up."""
        try:
            status = Path(self.lock_file).stat()
        except FileNotFoundError:
            return False
        file, now = (status.st_ino, status.st_mtime_ns), time.monotonic()
        if status.st_size:
            self._unwritten_since = None
        elif self._unwritten_since is None or self._unwritten_since[0] != file:
            self._unwritten_since = file, now
        elif now - self._unwritten_since[1] >= self.lease_duration:
            self.force_break()  # an owner that was only slow finds it gone, as one taken over does
        return False


def lease(path: Path) -> Lease:
    """A lease that is not taken yet.

    Args:
        path: of its file, in a folder that is there.

    Raises:
        UsageError: as `seconds`.
    """
    duration = seconds()
    return Lease(path, lease_duration=duration, heartbeat_interval=duration * _HEARTBEAT)


@dataclass(frozen=True)
class Claim:
    """A lease as another process of its owner sees it.

    Attributes:
        path: of its file.
        token: what its owner wrote there.
    """

    path: Path
    token: str

    def holds(self) -> bool:
        """Whether the lease is still its owner's: nobody has taken it over."""
        owner = SoftFileLease(self.path).owner
        return owner is not None and owner.token == self.token
