"""What the commands under `effbench bench` print alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from effbench.cli.console import say, show, warn
from effbench.tables import Column, Table

if TYPE_CHECKING:
    from effbench.bench.comparisons import TimingComparison


def comparison(timed: TimingComparison) -> None:
    """Prints what was measured, and what follows from it."""
    rows = tuple(
        (
            timing.what,
            f"{timing.seconds:.2f}",
            f"{timing.memory / 1e9:.2f} GB" if timing.memory else "",
        )
        for timing in timed.timings
    )
    columns = (Column("measured", words=True), Column("seconds"), Column("peak memory"))
    show(Table("", columns, rows))
    for finding in timed.findings:
        say(finding)


def end(problems: Sequence[str]) -> None:
    """Says what could not be timed, and ends with exit code 1 if anything could not."""
    for problem in problems:
        warn(problem)
    if problems:
        raise typer.Exit(1)
