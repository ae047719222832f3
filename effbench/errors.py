"""Errors a user can act on: one line that says what was wrong, what was received, what to do next.

Everything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """The same words on one line."""
    return " ".join(text.split())


class Interrupted(BaseException):
    """Ctrl-C, or SIGTERM."""


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
        super().__init__(one_line(f"{rule}: {received}; {hint}"))


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


class CheckpointError(EffbenchError):
    """A checkpoint is not one that this run can go on from."""

    kind = "checkpoint"


class PreemptedError(EffbenchError):
    """A run was told to stop, and saved what it had."""

    kind = "interrupted"


class NonFiniteError(EffbenchError):
    """Training left the finite numbers."""

    kind = "non-finite"


class RelayedError(EffbenchError):
    """What another process raised, as the line that it became there."""

    def __init__(self, line: str) -> None:
        Exception.__init__(self, line)


# These end the whole sweep: every further run would fail in the same way.
FATAL_KINDS = frozenset({DeviceError.kind, DiskError.kind})
