"""What long work says about itself while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A phase of a run, and progress so far.

    Attributes:
        phase: "start", "build", "features", "train", "evaluate", "download", "wait".
        done: units done so far.
        total: units in all.
        unit: what is counted, e.g. "images"; "" for a phase without a count.
        note: a short figure to show beside it, e.g. the losses.
        lasting: whether it is news that stays on a terminal, to be read later too.
    """

    phase: str
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
    lasting: bool = False


Report = Callable[[Step], None]


def silent(_: Step) -> None:
    """Says nothing."""
