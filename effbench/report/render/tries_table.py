"""What searches tried, as a table: validation accuracies alone, as test images choose nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from effbench.report.rows import Row
from effbench.report.tries import Tries
from effbench.tables import Column, Table

CAPTION = (
    "Values tried; the best on the validation images is the row; of equals the smallest, and of "
    "words the recipe's own, then the one that ran first"
)


def table(labels: Sequence[str], rows: Sequence[Row]) -> Table | None:
    """A line for each value that was tried for one of the rows; None if nothing was searched."""
    searched = [(label, row.tries) for label, row in zip(labels, rows, strict=True) if row.tries]
    lines = [line for label, tries in searched for line in _lines(label, tries)]
    return Table(CAPTION, _COLUMNS, tuple(lines)) if lines else None


def alone(tries: Tries) -> Table:
    """The table of one search."""
    lines = [line[1:] for line in _lines("", tries)]
    return Table("Values tried in this search", _COLUMNS[1:], tuple(lines))


_COLUMNS = (
    Column("Row", words=True),
    Column("values", words=True),
    Column("seeds", rank=1),
    Column("acc-val"),
    Column("chosen", words=True),
    Column("run", words=True, rank=2),
)


def _lines(label: str, tries: Tries) -> Iterator[tuple[str, ...]]:
    for row in tries.tries:
        values = zip(tries.numbers, row.values, strict=True)
        yield (
            label,
            ", ".join(f"{number} {value}" for number, value in values),
            f"{row.seeds}" if row.spec.recipe.way.seeded else "-",
            "failed" if row.accuracy is None else f"{row.accuracy:.2f}",
            "chosen" if row is tries.chosen else "",
            row.spec.key,
        )
