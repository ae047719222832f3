"""Published ImageNet accuracies beside what `effbench imagenet` measured, release by release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from effbench.imagenet import protocols
from effbench.imagenet.imagenet_records import ImagenetRecord
from effbench.imagenet.validation_sets import IMAGENET
from effbench.report import published, reproduction
from effbench.report.published import ImagenetResult, Published, ReportedTop1
from effbench.tables import Column, Table

TABLES: Mapping[str, Published[ImagenetResult] | Published[ReportedTop1]] = {
    published.IMAGENET.name: published.IMAGENET,
    published.IMAGENET_V1.name: published.IMAGENET_V1,
}
# What stands beside one another in every such table.
FIGURES = (
    Column("published"),
    Column("ours"),
    Column("95 %", rank=1),
    Column("difference"),
    Column("what differs", words=True),
)


def table(name: str, records: Iterable[ImagenetRecord]) -> Table:
    """Every release of a published table, once for each of our records of it.

    Args:
        name: a name in `TABLES`.
        records: ours; those of other images than ImageNet's are left out.
    """
    columns = (Column("Model", words=True), Column("Weights", words=True), *FIGURES)
    ours: dict[tuple[str, str], list[ImagenetRecord]] = {}
    for record in records:
        if record.spec.data == IMAGENET:
            ours.setdefault((record.spec.variant, record.spec.weights.name), []).append(record)
    cells = [
        (row.variant, row.weights, *cell)
        for row in TABLES[name].rows
        for cell in _cells(row, ours.get((row.variant, row.weights), []))
    ]
    return Table(f"Beside {name}", columns, tuple(cells))


def _cells(
    row: ImagenetResult | ReportedTop1, records: Iterable[ImagenetRecord]
) -> Iterator[tuple[str, ...]]:
    figure = protocols.published(row.variant, row.weights)
    percent = figure.top1 if figure else None
    assert percent is not None, row
    compared = [(100 * record.scores.accuracy, reproduction.of(record)) for record in records]
    for top1, found in compared:
        interval = f"{found.low:.2f}–{found.high:.2f}"
        differs = "; ".join(found.marks) or "-"
        yield (str(percent), f"{top1:.2f}", interval, f"{top1 - percent:+.2f}", differs)
    if not compared:
        yield (str(percent), "-", "-", "-", "not scored here")
