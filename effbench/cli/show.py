"""Everything about one run, for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from effbench.cli import console
from effbench.cli.console import left_out, out, say, warn
from effbench.cli.options import ResultsOption
from effbench.errors import UsageError
from effbench.stderr import without_noise
from effbench.tables import Column, Table

if TYPE_CHECKING:
    from effbench.records.record import Record, RunResult
    from effbench.records.scores import Scores
    from effbench.records.store import Store

# How many lines of a failed worker's output are shown.
TAIL = 20


def print_record(record: Record, store: Store) -> None:
    """Prints what a run was and what came of it."""
    from effbench.records import describe
    from effbench.records.record import RunFailure
    from effbench.records.store import LOG

    folder = store.folder(record.spec.key)
    facts = dict(describe.of_spec(record.spec))
    if isinstance(record, RunFailure):
        _print_facts(facts | dict(describe.of_failure(record)))
        _print_tail(folder / LOG)
        return
    _print_facts(facts | dict(describe.of_result(record)) | {"folder": str(folder)})
    for table in (
        _scores(record),
        *_tried(record, store),
        *_classes(record, store),
        *_curve(record),
    ):
        out.print()
        left_out(console.show(table))


def _print_facts(facts: Mapping[str, str]) -> None:
    indent = max(map(len, facts)) + 2
    for name, text in facts.items():
        say(text, Text(name.ljust(indent), "bold"))


def _scores(result: RunResult) -> Table:
    rows = []
    search = result.l2_search
    for row in result.selected:
        what = f"{search.chosen.l2:.3g}" if search else f"{row.epoch or '-'}"
        for index, (split, scores) in enumerate(row.splits.items()):
            chosen = ("", "") if index else (row.rule, what)
            rows.append((*chosen, split, *_columns(scores, result.spec.classes)))
    columns = (
        Column("selected by", words=True),
        Column("L2" if search else "epoch"),
        Column("split", words=True),
        Column("images", rank=1),
        Column("top-1"),
        Column("correct"),
        Column("top-5"),
        Column("top-5 correct"),
        Column("loss"),
    )
    return Table("Scores", columns, tuple(rows))


def _tried(result: RunResult, store: Store) -> Iterator[Table]:
    """All values of the search that it is part of, if it is of one."""
    from effbench.records import search_files
    from effbench.report import tries
    from effbench.report.render import tries_table
    from effbench.report.rows import grouped

    known = search_files.read(store).known
    if any(search.holds(result.spec) for search in known):
        records = store.load(checked=True)
        failed = (failure.spec for failure in records.failures)
        tries_by_group = tries.of(grouped(records.results), failed, known)
        if result.spec.group in tries_by_group:
            yield tries_table.alone(tries_by_group[result.spec.group])


def _classes(result: RunResult, store: Store) -> Iterator[Table]:
    """How well the run knows each class, if its predictions are here."""
    from effbench.report import per_class
    from effbench.report.render import class_table

    figures = per_class.read(store, [result])
    if figures:
        table = class_table.table(figures)
        yield replace(table, caption=f"{table.caption}. {figures.sentence}")


def _columns(scores: Scores, classes: int) -> Iterator[str]:
    yield f"{scores.total:,}"
    for rate, count, known in (
        (scores.accuracy, scores.correct, True),
        (scores.top5_accuracy, scores.top5_correct, classes > 5),
    ):
        yield f"{rate:.2%}" if known else "-"
        yield f"{count:,}" if known else "-"
    yield f"{scores.loss:.4f}"


def _curve(result: RunResult) -> Iterator[Table]:
    """What came of each epoch, of each L2, or of each fold."""
    from effbench.report.render import chosen_tables

    if result.history:
        yield _history(result)
    yield from chosen_tables.tables(result)


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
            f"{row.validation.top5_accuracy:.2%}" if result.spec.classes > 5 else "-",
        )
        for row in result.history
    )
    first, *others = titles
    columns = (Column(first, words=True), *map(Column, others))
    return Table("History", columns, tuple(rows))


def _print_tail(log: Path) -> None:
    """Prints the end of what the failed worker printed, if that was kept."""
    if not log.is_file():
        return
    text = log.read_text("utf-8", "replace")
    count = len(text.splitlines())
    lines = without_noise(text).splitlines()
    noise = count - len(lines)
    title = f"the last of {count} lines of {log}"
    if noise:
        title += f", without {noise} that TensorFlow always prints"
    if not lines:
        title = f"{log}: {count} lines, all of them what TensorFlow always prints"
    out.print()
    say(Text(title, "bold"))
    for line in lines[-TAIL:]:
        say(line)


def show(
    key: Annotated[str, typer.Argument(help="Any part of the run's key that no other has.")],
    results: ResultsOption = Path("results"),
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Print only the command that repeats it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Show everything about one run."""
    from effbench.records.integrity import examine
    from effbench.records.store import Store

    if rerun and as_json:
        raise UsageError("formats exclude one another", "--rerun --json", "give one of them")
    store = Store(results)
    record = store.find(key)
    for finding in examine(store, record.spec.key)[1]:
        if not finding.remark:
            line = f"{finding.path}: {finding.text}; no table and no comparison has this run"
            warn(line)
    if as_json:
        print(store.path(record).read_text("utf-8"), end="")
    elif rerun:
        from effbench.sweep.rerun import rerun as repeat

        again = repeat(record)
        print(again.command)
        for hint in again.hints:
            warn(hint)
    else:
        print_record(record, store)
