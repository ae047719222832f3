"""Everything about one run, for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from rich.table import Table
from rich.text import Text

from effbench.errors import EffbenchError, UsageError
from effbench.records import describe
from effbench.records.record import Record, RunFailure, RunResult, Scores
from effbench.records.store import LOG, Store

# Of a failed worker's output.
TAIL = 20
# Keys that an error lists.
LISTED = 10


def find(store: Store, part: str) -> Record:
    """The record whose key holds `part`.

    Raises:
        UsageError: there is none, or more than one.
        EffbenchError: there are no records, or this one cannot be read.
    """
    keys = [folder.name for folder in store.folders()]
    if not keys:
        raise EffbenchError("no runs to show", str(store.directory), "run 'effbench sweep' first")
    matches = [part] if part in keys else [key for key in keys if part in key]
    if not matches:
        closest = ", ".join(get_close_matches(part, keys, cutoff=0))
        raise UsageError("no key of a run holds this", part, f"the closest: {closest}")
    if len(matches) > 1:
        more = f" and {len(matches) - LISTED} more" if len(matches) > LISTED else ""
        listed = f"{', '.join(matches[:LISTED])}{more}"
        raise UsageError(f"{len(matches)} runs have this in their key", part, listed)
    folder = store.folder(matches[0])
    try:
        record = store.read(folder.name)
    except ValueError as error:
        raise EffbenchError("cannot read the record", f"{folder}: {error}", _REPAIR) from error
    if record is None:
        raise EffbenchError("no record in the run's folder", str(folder), _REPAIR)
    return record


_REPAIR = "run it again, or delete the folder"


def render(record: Record, folder: Path) -> Iterator[Text | Table]:
    """The lines and tables that say what a run was and what came of it."""
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
