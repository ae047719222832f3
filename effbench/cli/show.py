"""Everything about one run, for a reader."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from effbench.cli import console
from effbench.cli.console import err, out
from effbench.cli.options import ResultsOption
from effbench.errors import UsageError
from effbench.tables import NARROWEST, Column, Table

if TYPE_CHECKING:
    from effbench.records.record import Record, RunResult, Scores

# How many lines of a failed worker's output are shown.
TAIL = 20


def render(record: Record, folder: Path) -> Iterator[Text | Table]:
    """The lines and tables that say what a run was and what came of it."""
    from effbench.records import describe
    from effbench.records.record import RunFailure
    from effbench.records.store import LOG

    asked = dict(describe.of_spec(record.spec))
    if isinstance(record, RunFailure):
        yield _listed(asked | dict(describe.of_failure(record)))
        yield from _tail(folder / LOG)
        return
    yield _listed(asked | dict(describe.of_result(record)) | {"folder": str(folder)})
    yield _scores(record)
    yield _history(record)


def _listed(facts: Mapping[str, str]) -> Text:
    """A line for each fact; on a terminal, one that is too long goes on below where it began."""
    indent = max(map(len, facts)) + 2
    lines = []
    for name, text in facts.items():
        parts = [text]
        if out.is_terminal:
            parts = textwrap.wrap(text, max(out.width - indent, NARROWEST)) or [""]
        lines.append(Text.assemble((name.ljust(indent), "bold"), parts[0]))
        lines += [Text(" " * indent + part) for part in parts[1:]]
    return Text("\n").join(lines)


def _scores(result: RunResult) -> Table:
    rows = []
    for row in result.selected:
        rows.append((row.rule, str(row.epoch), "validation", *_columns(row.validation)))
        rows.append(("", "", "test", *_columns(row.test)))
    columns = (
        Column("selected by", words=True),
        Column("epoch"),
        Column("split", words=True),
        Column("images"),
        Column("top-1"),
        Column("correct", rank=1),
        Column("top-5"),
        Column("top-5 correct", rank=2),
        Column("loss"),
    )
    return Table("Scores", columns, tuple(rows))


def _columns(scores: Scores) -> Iterator[str]:
    yield f"{scores.total:,}"
    for rate, count in (
        (scores.accuracy, scores.correct),
        (scores.top5_accuracy, scores.top5_correct),
    ):
        yield f"{rate:.2%}"
        yield f"{count:,}"
    yield f"{scores.loss:.4f}"


def _history(result: RunResult) -> Table:
    titles = ("epoch", "learning rate", "loss", "top-1", "val loss", "val top-1", "val top-5")
    rows = (
        (
            str(row.epoch),
            f"{row.learning_rate:.3g}",
            f"{row.train.loss:.4f}",
            f"{row.train.accuracy:.2%}",
            f"{row.validation.loss:.4f}",
            f"{row.validation.accuracy:.2%}",
            f"{row.validation.top5_accuracy:.2%}",
        )
        for row in result.history
    )
    first, *others = titles
    columns = (Column(first, words=True), *map(Column, others))
    return Table("History", columns, tuple(rows))


def _tail(log: Path) -> Iterator[Text]:
    """The end of what the failed worker printed, if that was kept."""
    if log.is_file():
        lines = log.read_text("utf-8", "replace").splitlines()
        yield Text(f"\nthe last of {len(lines)} lines of {log}", style="bold")
        yield Text("\n".join(lines[-TAIL:]))


def show(
    key: Annotated[str, typer.Argument(help="Any part of the run's key that no other has.")],
    results: ResultsOption = Path("results"),
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Print only the command that repeats it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Show everything about one run."""
    from effbench.records.store import Store

    if rerun and as_json:
        raise UsageError("formats exclude one another", "--rerun --json", "give one of them")
    store = Store(results)
    record = store.find(key)
    if as_json:
        print(store.path(record).read_text("utf-8"), end="")
    elif rerun:
        from effbench.sweep.rerun import rerun as repeat

        again = repeat(record)
        print(again.command)
        for hint in again.hints:
            err.print(f"effbench: {hint}", soft_wrap=True)
    else:
        for part in render(record, store.folder(record.spec.key)):
            if isinstance(part, Text):
                out.print(part, soft_wrap=True)
            else:
                out.print()
                console.show(part)
