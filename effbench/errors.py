"""Errors a user can act on: one line that says what was wrong, what was received, what to do next.

Everything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar

from effbench.failures import FailureKind


def one_line(text: str) -> str:
    """The same words on one line."""
    return " ".join(text.split())


class Interrupted(BaseException):
    """Ctrl-C, or SIGTERM; its argument, if any, says what holds now."""


class EffbenchError(Exception):
    """A problem outside the program.

    Args:
        rule: what must hold, or what went wrong.
        received: what was found instead; "" for nothing at all.
        hint: what to do next.
    """

    kind: ClassVar[FailureKind] = FailureKind.ERROR

    def __init__(self, rule: str, received: str, hint: str) -> None:
        super().__init__(one_line(f"{rule}: {received or 'nothing'}; {hint}"))

    @property
    def exit_code(self) -> int:
        """The exit code of a command that it ends."""
        return self.kind.handling.exit_code


class UsageError(EffbenchError):
    """The command line asks for something that does not exist or cannot be."""

    kind = FailureKind.USAGE


class DataError(EffbenchError):
    """A dataset is missing, damaged, or not what it should be."""

    kind = FailureKind.DATA


class WeightsError(EffbenchError):
    """Weights are missing, damaged, or do not fit the network."""

    kind = FailureKind.WEIGHTS


class DeviceError(EffbenchError):
    """The accelerator that was asked for is not there; no run can succeed."""

    kind = FailureKind.DEVICE


class DeviceLostError(DeviceError):
    """A device went away in the middle of a program: another run may get it back."""

    kind = FailureKind.DEVICE_LOST


class BrokenEngineError(DeviceError):
    """An engine is installed, but cannot be loaded."""


class FeaturesDifferError(DeviceError):
    """An engine's features of one network are not TensorFlow's; those of others may be."""

    kind = FailureKind.ENGINE


class DiskError(EffbenchError):
    """A file cannot be written; no run can be kept."""

    kind = FailureKind.DISK


class CheckpointError(EffbenchError):
    """A checkpoint is not one that this run can go on from."""

    kind = FailureKind.CHECKPOINT


class PreemptedError(EffbenchError):
    """A run was told to stop, and saved what it had."""

    kind = FailureKind.INTERRUPTED


class NonFiniteError(EffbenchError):
    """Training left the finite numbers."""

    kind = FailureKind.NON_FINITE


class RelayedError(EffbenchError):
    """What another process raised, as the line that the process printed."""

    def __init__(self, line: str) -> None:
        Exception.__init__(self, line)
