"""What long work shows: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from effbench.config.run_spec import RunSpec
from effbench.progress import Step
from effbench.sweep.events import Event
from effbench.tables import Table, fitted, grid

# No markup: what is printed may hold brackets of its own.
out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

# The fields of each recipe that a sweep searches, by the recipe's name.
Searched = Mapping[str, Sequence[str]]
NOTHING: Searched = MappingProxyType({})

# The time between two plain lines of one phase.
LINE_SECONDS = 15.0

# A width in characters that no table needs.
WIDEST = 1000
# The indent of a text with a word too long to stand beside what the text starts with.
_INDENT = 2

MARKS = {
    "saved": ("✓", "green"),
    "kept": ("✓", "green"),
    "failed": ("✗", "red"),
    "finished": ("·", "dim"),
    "failed before": ("·", "red"),
}


class Display:
    """Shows the events of a sweep; a context manager.

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
        self._bars = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            _Count(),
            _Rate(),
            TimeElapsedColumn(),
            _Left(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._sweep = self._bars.add_task("runs", total=runs, unit="", visible=runs > 0)
        self._phase = self._sweep
        self._last = Step("")
        self._began = (0.0, 0)  # when the current phase's first step came, and what was done then
        self._printed = 0.0

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Shows one event."""
        if event.state == "working" and event.step is not None:
            self.step(name(event.specs, self._searched), event.step)
            return
        if event.state in MARKS:
            self._bars.advance(self._sweep, len(event.specs))
        if event.state == "failed" or not self._quiet:
            say_event(event, self._searched, self._console)

    def step(self, label: str, step: Step) -> None:
        """Shows the progress of the work called `label`."""
        now = time.monotonic()
        changed = step.phase != self._last.phase
        if changed:
            self._began = (now, step.done)
        # Another phase of the same count goes on with its bar.
        same_count = (step.total, step.unit) == (self._last.total, self._last.unit)
        if changed and not (step.total and same_count):
            if self._phase != self._sweep:
                self._bars.remove_task(self._phase)
            self._phase = self._bars.add_task("now", total=step.total or None, unit=step.unit)
        self._bars.words = Text.assemble(f"{label} {step.phase}  ", (step.note, "dim"))
        self._bars.update(self._phase, completed=step.done)
        ended = step.total > 0 and step.done == step.total != self._last.done
        due = changed or ended or self._verbose or now - self._printed > LINE_SECONDS
        self._last = step
        shown = step.lasting or self._verbose or not self._console.is_terminal
        if due and shown and not self._quiet:
            self._printed = now
            line = f"{label} {step_line(step, now - self._began[0], self._began[1])}"
            say(line, "  ", self._console)


def show(table: Table, among: Sequence[Table] = ()) -> list[str]:
    """Prints a table: to the width of a terminal; elsewhere whole, for other programs to read.

    Args:
        table: the table.
        among: tables that are read as one, this one among them: a column that one of them has no
            room for is left out of all.

    Returns:
        titles of the columns left out, for `left_out`.
    """
    width = out.width if out.is_terminal else WIDEST
    hidden = {
        column.title
        for part in among or [table]
        for column in set(part.columns) - set(fitted(part, width).columns)
    }
    kept = [column.title for column in table.columns if column.title not in hidden]
    if table.caption:  # a table's title would be broken to the width of its columns
        say(Text(table.caption, "bold"))
    drawn = grid(replace(table.only(kept), caption=""), width)
    # A console that is no terminal would make it as narrow as one.
    drawn.width = out.measure(drawn, options=out.options.update(width=width)).maximum
    out.print(drawn, crop=False)
    return [column.title for column in table.columns if column.title in hidden]


def left_out(titles: Iterable[str]) -> None:
    """Prints which columns tables had no room for, if there are any."""
    names = ", ".join(dict.fromkeys(" ".join(title.split()) for title in titles))
    if names:
        say(Text(f"A wider terminal also shows {names}.", "dim"))


def say(text: str | Text, start: str | Text = "", console: Console | None = None) -> None:
    """Prints a text beside its start: a terminal breaks it between words and indents what goes on.

    Where there is no terminal, it is one line.
    """
    console = console or out
    text, start = Text.assemble(text), Text.assemble(start)
    if not console.is_terminal:
        console.print(start + text, soft_wrap=True)
        return
    indent = start.cell_len
    if any(cell_len(word) > console.width - indent for word in text.plain.split()):
        indent = min(indent, _INDENT)
    below = Text(" " * indent)
    lines = [below + line for line in text.wrap(console, console.width - indent)]
    if start.cell_len > indent:
        lines.insert(0, start)
    else:
        lines[0] = start + lines[0][indent:]
    console.print(Text("\n").join(lines))


def warn(line: str) -> None:
    """Prints a line of effbench's own on standard error: what went wrong, or a reader must know."""
    say(line, "effbench: ", err)


def notes(texts: Iterable[str]) -> None:
    """Prints points."""
    for text in texts:
        say(text, "- ")


def tried(spec: RunSpec, searched: Searched) -> str:
    """The values that a run tries of what is searched; "" for nothing."""
    numbers = searched.get(spec.recipe.name, ())
    return ", ".join(f"{number} {getattr(spec.recipe, number)}" for number in numbers)


def name(specs: Sequence[RunSpec], searched: Searched = NOTHING) -> str:
    """Short and unmistakable: what differs between the runs of one sweep."""
    first = specs[0]
    network = f"{first.variant} {first.weights.name} {first.image_size} {first.recipe.name}"
    network = " ".join(filter(None, (network, tried(first, searched))))
    if not first.recipe.way.seeded:
        return network
    seeds = ",".join(str(spec.seed) for spec in specs)
    return f"{network} seed{'s' * (len(specs) > 1)} {seeds}"


def say_event(event: Event, searched: Searched, console: Console) -> None:
    """Prints what became of runs, a line."""
    text = f": {event.text}" if event.text else ""
    mark = Text.assemble(MARKS.get(event.state, (">", "blue")), " ")
    say(f"{name(event.specs, searched)} {event.state}{text}", mark, console)


def step_line(step: Step, seconds: float, already: int) -> str:
    """A step as words: the progress so far, the rate, and the time left."""
    words = [step.phase]
    if step.total:
        words.append(f"{step.done:,}/{step.total:,} {step.unit}")
        rate = (step.done - already) / seconds if seconds > 0 else 0.0
        if rate > 0:
            words.append(f"{rate:,.1f} {step.unit}/s")
            words.append(f"{(step.total - step.done) / rate:,.0f} s left")
    return ", ".join(filter(None, [" ".join(words[:2]), *words[2:], step.note]))


class _Bars(Progress):
    """Bars under a line of words, which leave each other room on 80 columns."""

    words = Text("")

    def get_renderables(self) -> Iterator[RenderableType]:
        """The words, which may take several lines, then the bars."""
        if self.words:
            yield self.words
        yield from super().get_renderables()


class _Count(MofNCompleteColumn):
    """How many of how many; nothing of a phase without a count."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total else Text("")


class _Left(TimeRemainingColumn):
    """Time left of a phase; runs differ too much for an estimate of theirs."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields["unit"] else Text("")


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        return Text(f"{speed:,.1f} {unit}/s" if speed and unit else "")
