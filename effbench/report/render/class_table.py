"""How well each class is known, as a table."""

from __future__ import annotations

from effbench.report.per_class import PerClass, Rate
from effbench.tables import Column, Table

# Of more classes, those that are known least are shown; the JSON has them all.
MOST = 50


def table(per_class: PerClass, of: str = "") -> Table:
    """A line for each class, or of many for those with the lowest F1.

    Args:
        per_class: the figures.
        of: the row that they are of, for the caption; "" where there is only one.
    """
    shown = per_class.classes
    caption = f"Classes{f' of {of}' if of else ''}"
    if len(shown) > MOST:
        caption += f": the {MOST} of {len(shown):,} with the lowest F1"
        shown = per_class.weakest[:MOST]
    if per_class.bounds is not None:
        caption += "; intervals over groups of images"
    columns = (
        Column("Class", words=True),
        Column("images"),
        Column("recall"),
        Column("precision", rank=1),
        Column("F1", rank=2),
    )
    rows = (
        (
            figures.name,
            f"{figures.images:,}",
            *map(_text, (figures.recall, figures.precision, figures.f1)),
        )
        for figures in shown
    )
    return Table(caption, columns, tuple(rows))


def _text(rate: Rate | None) -> str:
    return f"{rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}]" if rate else "-"
