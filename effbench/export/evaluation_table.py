"""Evaluations side by side: every format of a run in one table."""

from __future__ import annotations

from pathlib import Path

from effbench.errors import EffbenchError
from effbench.export.evaluation import Evaluation, load
from effbench.tables import Column, Table

_ENDING = "*.evaluation.json"
# A narrow terminal keeps what tells the rows apart, and the result. Names may be as long as keys.
_COLUMNS = (
    Column("Data", words=True, enough=12),
    Column("Split", words=True, rank=1),
    Column("Model", words=True, enough=20),
    Column("Format", words=True),
    Column("Numbers", words=True),
    Column("MB", rank=5),
    Column("Accuracy"),
    Column("95 % interval", rank=2),
    Column("Against run", rank=3),
    Column("Other class", rank=7),
    Column("Largest difference", rank=8),
    Column("p", rank=4),
    Column("Images/s", rank=6),
    Column("Runtime", words=True, rank=9, enough=28),
)


def table(folder: Path) -> Table:
    """The records in a folder and in those within it, sorted by their data and formats.

    Raises:
        EffbenchError: there are none.
        DataError: one cannot be read.
    """
    paths = (*folder.glob(_ENDING), *folder.glob(f"*/{_ENDING}"))
    records = [load(path) for path in sorted(paths)]
    if not records:
        hint = "write some with 'effbench evaluate'"
        raise EffbenchError("no records of evaluations", f"{folder}: no {_ENDING}", hint)
    records.sort(key=lambda record: (record.data, record.format, -record.size))
    return Table("", _COLUMNS, tuple(_row(record) for record in records))


def _row(record: Evaluation) -> tuple[str, ...]:
    against = record.against
    compared = (
        (
            f"{100 * record.gained:+.2f}",
            f"{against.disagree:,} of {record.total:,}",
            f"{against.largest_difference:.1e}",
            f"{against.p:.2g}",
        )
        if against
        else ("",) * 4
    )
    return (
        *(record.data, record.split, record.model, record.format, record.quantize),
        f"{record.size / 1e6:.1f}",
        f"{100 * record.accuracy:.2f}",
        f"{100 * record.low:.2f} to {100 * record.high:.2f}",
        *compared,
        f"{record.images_per_second:.0f}",
        record.runtime,
    )
