"""What a sweep of several runs at a time shows: a line for each that is at work."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from effbench.cli.console import (
    LINE_SECONDS,
    MARKS,
    NOTHING,
    Searched,
    name,
    say,
    say_event,
    step_line,
)
from effbench.config.run_spec import RunSpec
from effbench.progress import Step
from effbench.sweep.events import Event


class ManyDisplay:
    """Shows the events of runs that go on beside each other; a context manager.

    Quiet shows failures only; verbose also shows every step, one line each.
    """

    def __init__(
        self,
        console: Console,
        runs: int,
        *,
        quiet: bool,
        verbose: bool,
        searched: Searched = NOTHING,
    ) -> None:
        self._console = console
        self._searched = searched
        self._quiet = quiet
        self._verbose = verbose
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._sweep = self._bars.add_task("runs", total=runs, visible=runs > 0)
        self._at_work: dict[str, _Line] = {}

    def __enter__(self) -> ManyDisplay:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Shows one event."""
        group = event.specs[0].worker
        if event.state == "working" and event.step is not None:
            self._step(group, event.specs, event.step)
            return
        if event.state in MARKS:
            self._bars.advance(self._sweep, len(event.specs))
            self._settle(group, event.specs)
        if event.state == "failed" or not self._quiet:
            say_event(event, self._searched, self._console)

    def _step(self, group: str, specs: Sequence[RunSpec], step: Step) -> None:
        now = time.monotonic()
        label = name(specs, self._searched)
        line = self._at_work.get(group)
        if line is None:
            task = self._bars.add_task(label, total=None)
            line = self._at_work[group] = _Line(task, {spec.key for spec in specs})
        changed = step.phase != line.step.phase
        if changed:
            line.began, line.already = now, step.done
        due = changed or self._verbose or now - line.printed > LINE_SECONDS
        line.step = step
        self._bars.update(
            line.task,
            description=f"{label} {step.phase}",
            completed=step.done,
            total=step.total or None,
        )
        shown = step.lasting or self._verbose or not self._console.is_terminal
        if due and shown and not self._quiet:
            line.printed = now
            words = step_line(step, now - line.began, line.already)
            say(f"{label} {words}", "  ", self._console)

    def _settle(self, group: str, specs: Sequence[RunSpec]) -> None:
        """Removes the line of a group once none of its runs is left."""
        line = self._at_work.get(group)
        if line is not None:
            line.left -= {spec.key for spec in specs}
            if not line.left:
                self._bars.remove_task(line.task)
                del self._at_work[group]


class _Line:
    """What is shown of a group at work: its bar, the runs that are left, and its last step."""

    def __init__(self, task: TaskID, left: set[str]) -> None:
        self.task = task
        self.left = left
        self.step = Step("")
        self.began = self.printed = 0.0
        self.already = 0
