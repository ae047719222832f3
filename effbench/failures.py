"""The kinds of failures: what a sweep does after each, what a reader is told, and the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Handling:
    """What follows from a failure.

    Attributes:
        told: what a reader can do about it.
        retried: whether the next sweep tries the run again by itself: the cause lies outside of it.
        unexpected: whether its one line is not the whole story.
        fatal: whether every further run would fail in the same way, so that it ends the sweep.
        exit_code: exit code of a command that it ends.
    """

    told: str
    retried: bool = False
    unexpected: bool = False
    fatal: bool = False
    exit_code: int = 1


_AGAIN = "the next sweep tries it again"
_GOES_ON = "the next sweep goes on with it"
_ASKED = "--retry-failed tries it again"


class FailureKind(StrEnum):
    """A row for each kind; its value is what stands in records and messages."""

    handling: Handling

    def __new__(cls, value: str, handling: Handling) -> FailureKind:
        """A member that is equal to its value."""
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.handling = handling
        return kind

    ERROR = "error", Handling(f"do what the message says; {_ASKED}")
    USAGE = "usage", Handling(f"give other flags; {_ASKED}", exit_code=2)
    DATA = "data", Handling(f"do what the message says; {_AGAIN}", retried=True)
    WEIGHTS = "weights", Handling(f"do what the message says; {_AGAIN}", retried=True)
    DEVICE = "device", Handling(f"make the device work; {_AGAIN}", fatal=True)
    DEVICE_LOST = (
        "device-lost",
        Handling(f"look at the device and its driver; {_GOES_ON}", retried=True),
    )
    ENGINE = "engine", Handling(f"do what the message says; {_AGAIN}", retried=True)
    DISK = "disk", Handling(f"free some space; {_AGAIN}", fatal=True)
    CHECKPOINT = "checkpoint", Handling(f"do what the message says; {_AGAIN}", retried=True)
    INTERRUPTED = "interrupted", Handling(_GOES_ON, retried=True)
    NON_FINITE = "non-finite", Handling("its numbers left the finite ones; change the recipe")
    OUT_OF_MEMORY = (
        "out-of-memory",
        Handling(f"take a smaller --micro-batch; {_ASKED}", unexpected=True),
    )
    KILLED = "killed", Handling(f"look at the worker's output; {_ASKED}", unexpected=True)
    WORKERS_DIED = (
        "workers-died",
        Handling(f"it may need more memory than its machines have; {_ASKED}"),
    )
    CRASH = "crash", Handling(f"look at the worker's output; {_ASKED}", unexpected=True)


_UNKNOWN = Handling(f"another effbench knows this kind; {_ASKED}")


def handling(kind: str) -> Handling:
    """What follows from a failure of this kind, which another effbench may have written."""
    return next((row.handling for row in FailureKind if row == kind), _UNKNOWN)
