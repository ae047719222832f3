"""What the time of a worker goes into."""

from __future__ import annotations

import time
from dataclasses import fields

import numpy as np

from effbench.engines.engine import Program
from effbench.records.record import Seconds


class Phases:
    """Wall-clock seconds of a process by phase, the fields of `Seconds`; together they are all."""

    def __init__(self, started: float) -> None:
        """`started` is a `time.time()`, possibly of the process that started this one."""
        self._last = started
        self._spent = {field.name: 0.0 for field in fields(Seconds)}

    def end(self, phase: str) -> None:
        """Counts the time since the last end, or since the start, as that of a phase."""
        now = time.time()
        self._spent[phase] += now - self._last
        self._last = now

    def part(self, phase: str, whole: str, seconds: float) -> None:
        """Counts seconds that are among those of the phase `whole` as those of another instead."""
        self._spent[whole] -= seconds
        self._spent[phase] += seconds

    def earlier(self, phase: str, seconds: float) -> None:
        """Adds seconds that a process before this one took, from which it went on."""
        self._spent[phase] += seconds

    def seconds(self) -> Seconds:
        """The phases that have ended."""
        return Seconds(**{phase: round(spent, 3) for phase, spent in self._spent.items()})


class Warming:
    """A program whose first call, which compiles it, is told from the others."""

    def __init__(self, program: Program) -> None:
        """Of no call yet."""
        self._program = program
        self._first: float | None = None
        self._others = 0.0
        self._calls = 0

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The results of one call."""
        began = time.perf_counter()
        results = self._program(*arrays)
        seconds = time.perf_counter() - began
        if self._first is None:
            self._first = seconds
        else:
            self._others += seconds
            self._calls += 1
        return results

    @property
    def compile_seconds(self) -> float:
        """What the first call took beyond the mean of the others; all of it, where it was alone."""
        if self._first is None:
            return 0.0
        return max(0.0, self._first - self._others / max(1, self._calls))
