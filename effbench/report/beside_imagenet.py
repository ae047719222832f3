"""Published ImageNet accuracies beside what `effbench imagenet` measured, release by release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from effbench.imagenet import protocols
from effbench.imagenet.imagenet_records import ImagenetRecord
from effbench.imagenet.validation_sets import IMAGENET
from effbench.records.caveats import details
from effbench.report import published, reproduction
from effbench.report.published import ImagenetResult, Published, ReportedTop1
from effbench.tables import Column, Table

TABLES: Mapping[str, Published[ImagenetResult] | Published[ReportedTop1]] = {
    published.IMAGENET.name: published.IMAGENET,
    published.IMAGENET_V1.name: published.IMAGENET_V1,
}
# What stands beside one another in every such table. The difference is that of two other columns.
FIGURES = (
    Column("published"),
    Column("ours"),
    Column("95 %"),
    Column("difference", rank=1),
    Column("what differs", words=True, enough=16),
)


def table(name: str, records: Iterable[ImagenetRecord]) -> Table:
    """Every release of a published table, once for each of our records of it.

    Args:
        name: a name in `TABLES`.
        records: ours; those of other images than ImageNet's are left out.
    """
    network = (Column("Model", words=True), Column("Weights", words=True, enough=12))
    columns = (*network, *FIGURES[:-1], Column("same?", words=True), FIGURES[-1])
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
    compared = [(record, reproduction.of(record)) for record in records]
    for record, interval in compared:
        top1 = 100 * record.scores.accuracy
        yield (
            *(str(percent), f"{top1:.2f}", f"{interval.low:.2f}–{interval.high:.2f}"),
            *(f"{top1 - percent:+z.2f}", interval.answer or "-", details(record.marks) or "-"),
        )
    if not compared:
        yield (str(percent), "-", "-", "-", "-", "not scored here")
