"""What a sweep tells those who listen to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from effbench.config.run_spec import RunSpec
from effbench.progress import Step


@dataclass(frozen=True)
class Event:
    """News of the sweep.

    Attributes:
        specs: the runs it is about.
        state: "started", "working", "saved", "kept" (saved in the copy of a URL, to which it is
            sent next), "failed", "finished" or "failed before" (both left as they are), "waiting"
            for another sweep, or "stopping" after an interruption.
        step: progress so far, for "working".
        text: why a run failed, what the sweep waits for, or where a run is kept.
    """

    specs: tuple[RunSpec, ...]
    state: str
    step: Step | None = None
    text: str = ""


Listen = Callable[[Event], None]
