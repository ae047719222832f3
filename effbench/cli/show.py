"""Everything about one run, for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from effbench.cli.console import err, out
from effbench.cli.options import ResultsOption
from effbench.errors import UsageError

if TYPE_CHECKING:
    from effbench.records.record import Record, RunResult, Scores

# Of a failed worker's output.
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


def _listed(found: dict[str, str]) -> Text:
    width = max(map(len, found)) + 2
    return Text("\n").join(
        Text.assemble((name.ljust(width), "bold"), text) for name, text in found.items()
    )


def _table(*titles: str, caption: str) -> Table:
    table = Table(
        title=f"\n{caption}",
        title_style="bold",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for place, title in enumerate(titles):
        table.add_column(title, justify="right" if place else "left", no_wrap=True)
    return table


def _scores(result: RunResult) -> Table:
    titles = ("images", "top-1", "correct", "top-5", "correct", "loss")
    table = _table("selected by", "epoch", "split", *titles, caption="Scores")
    for row in result.selected:
        table.add_row(row.rule, str(row.epoch), "validation", *_columns(row.validation))
        table.add_row("", "", "test", *_columns(row.test))
    return table


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
    table = _table(
        "epoch",
        "learning rate",
        "loss",
        "top-1",
        "val loss",
        "val top-1",
        "val top-5",
        caption="History",
    )
    for row in result.history:
        table.add_row(
            str(row.epoch),
            f"{row.learning_rate:.3g}",
            f"{row.train.loss:.4f}",
            f"{row.train.accuracy:.2%}",
            f"{row.validation.loss:.4f}",
            f"{row.validation.accuracy:.2%}",
            f"{row.validation.top5_accuracy:.2%}",
        )
    return table


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

        found = repeat(record)
        print(found.command)
        for hint in found.hints:
            err.print(f"effbench: {hint}", soft_wrap=True)
    else:
        for part in render(record, store.folder(record.spec.key)):
            out.print(part, soft_wrap=isinstance(part, Text))
