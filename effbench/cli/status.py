"""The command that says how far sweeps have come."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from effbench.cli.console import LINE_SECONDS, left_out, name, out, say, show, warn
from effbench.cli.durations import words
from effbench.cli.interruption import interrupted
from effbench.cli.options import ResultsOption
from effbench.errors import EffbenchError
from effbench.tables import Column, Table

if TYPE_CHECKING:
    from effbench.sweep.sweep_progress import Status

# The time between two looks on a terminal.
WATCH_SECONDS = 2.0
# How many failures are listed.
LISTED = 10


@interrupted("it only looks; the sweep goes on")
def status(
    results: ResultsOption = Path("results"),
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until all is done.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    price_per_hour: Annotated[
        float | None, typer.Option(min=0, help="Dollars an hour of a worker, for the costs.")
    ] = None,
) -> None:
    """Say what is done, running, waiting and failed, and when it is done."""
    from effbench.records.store import Store
    from effbench.sweep import sweep_progress

    if not results.is_dir():
        rule = "no results to look at"
        raise EffbenchError(rule, str(results), "name a folder with --results")
    while True:
        now = sweep_progress.read(Store(results))
        if as_json:
            print(
                json.dumps(sweep_progress.as_json(now, price_per_hour), indent=None if watch else 1)
            )
        else:
            if watch and out.is_terminal:
                out.clear()
            print_status(now, price_per_hour, brief=watch and not out.is_terminal)
            if not watch:
                _say_scores(results)
        if not (watch and now.open):
            return
        time.sleep(WATCH_SECONDS if out.is_terminal else LINE_SECONDS)


def _say_scores(results: Path) -> None:
    """How many releases `effbench imagenet` scored into the folder, which are no runs."""
    from effbench.imagenet import imagenet_records

    if scored := len(imagenet_records.files(results)):
        say(f"{scored:,} scored on ImageNet, beside the runs: 'effbench report --beside imagenet'")


def print_status(now: Status, price: float | None, *, brief: bool) -> None:
    """Prints what is known; if `brief`, one line."""
    from effbench.sweep.sweep_progress import dollars

    runs = sum(len(one.running.keys) for one in now.running)
    parts = [
        f"{now.done:,} done, {runs:,} running, {len(now.waiting):,} waiting, "
        f"{len(now.failed):,} failed"
    ]
    if now.open and not now.workers:
        parts.append("nobody works on it: 'effbench work' does, or the sweep's own command")
    elif now.until_done is not None and now.open:
        plural = "s" if now.workers > 1 else ""
        parts.append(f"about {words(now.until_done)} left with {now.workers} worker{plural}")
    if price is not None:
        costs = dollars(now, price)
        left = costs["dollars_left"]
        more = f", ${left:,.2f} more to come" if left and now.open else ""
        parts.append(f"${costs['dollars_spent']:,.2f} spent{more}")
    say("; ".join(parts))
    if brief:
        return
    for problem in now.problems:
        warn(problem)
    tables = [table for table in (_running(now), _failed(now)) if table.rows]
    hidden = []
    for table in tables:
        out.print()
        hidden += show(table)
    left_out(hidden)
    if len(now.failed) > LISTED:
        say(Text(f"and {len(now.failed) - LISTED:,} more that failed", "dim"))


def _running(now: Status) -> Table:
    rows = []
    for one in now.running:
        step = one.running.step
        progress = f"{step.phase} {step.done:,}/{step.total:,} {step.unit}".strip()
        said = progress if step.total else step.phase
        if not one.alive:
            said = f"silent for {words(one.silent)}: open for others"
        where = f"{one.running.host} {one.running.share}".strip()
        began = datetime.fromtimestamp(one.running.since).astimezone()
        rows.append(
            (
                name(one.group.specs) if one.group else one.running.group,
                where,
                f"{began:%Y-%m-%d %H:%M}",
                words(one.seconds),
                said,
            )
        )
    columns = (
        Column("running", words=True),
        Column("where", words=True),
        Column("since", rank=1),
        Column("for"),
        Column("progress", words=True),
    )
    return Table("", columns, tuple(rows))


def _failed(now: Status) -> Table:
    columns = (
        Column("failed", words=True),
        Column("why", words=True),
        Column("what to do", words=True, rank=1),
    )
    rows = [
        (failure.key, f"{failure.kind}: {failure.message}", failure.hint)
        for failure in now.failed[:LISTED]
    ]
    return Table("", columns, tuple(rows))
