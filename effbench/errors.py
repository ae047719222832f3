"""Errors a user can act on: one line that says what was wrong, what was received, what to do next.

Everything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EffbenchError(Exception):
    """A problem outside the program.

    Args:
        rule: what must hold, or what went wrong.
        received: what was found instead.
        hint: what to do next.
    """

    kind = "error"
    exit_code = 1

    def __init__(self, rule: str, received: str, hint: str) -> None:
        super().__init__(f"{rule}: {received}; {hint}")


class UsageError(EffbenchError):
    """The command line asks for something that does not exist or cannot be."""

    kind = "usage"
    exit_code = 2


class DataError(EffbenchError):
    """A dataset is missing, damaged, or not what it should be."""

    kind = "data"


class WeightsError(EffbenchError):
    """Weights are missing, damaged, or do not fit the network."""

    kind = "weights"


class DeviceError(EffbenchError):
    """The accelerator that was asked for is not there; no run can succeed."""

    kind = "device"


class DiskError(EffbenchError):
    """A file cannot be written; no run can be kept."""

    kind = "disk"


class NonFiniteError(EffbenchError):
    """Training left the finite numbers."""

    kind = "non-finite"


class RelayedError(EffbenchError):
    """What another process raised, as the line that it became there."""

    def __init__(self, line: str) -> None:
        Exception.__init__(self, line)


# These end the whole sweep: every further run would fail in the same way.
FATAL_KINDS = frozenset({DeviceError.kind, DiskError.kind})

_ELSEWHERE = "use another one (--results or --output, or EFFBENCH_CACHE for the cache)"
_DISK_HINTS = {
    errno.ENOSPC: f"free some space there, or {_ELSEWHERE}",
    errno.EDQUOT: f"free some space there, or {_ELSEWHERE}",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.ENOTDIR: _ELSEWHERE,
    errno.EEXIST: _ELSEWHERE,
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a full, read-only or forbidden disk under `path` into a `DiskError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_HINTS:
            raise
        raise DiskError(
            f"cannot write to the folder {path}",
            error.strerror or repr(error),
            _DISK_HINTS[error.errno],
        ) from error
