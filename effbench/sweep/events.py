"""News of a sweep."""

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
        state: "started", "working", "saved", "failed", "finished" or "failed before" (both
            left as they are), "waiting" for another sweep, or "stopping" after an interruption.
        step: how far they are, for "working".
        text: why it failed, or what is waited for.
    """

    specs: tuple[RunSpec, ...]
    state: str
    step: Step | None = None
    text: str = ""


Listen = Callable[[Event], None]
