"""What a page shows of a section, ready for its template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from effbench.report import summary, transfer
from effbench.report.charts.drawing import Drawing
from effbench.report.charts.figure import Figure
from effbench.report.mistakes import Missed, normalised
from effbench.report.render import class_table, document, thumbnails
from effbench.report.render.document import Wanted
from effbench.report.sections import Section
from effbench.tables import Column, Table

# With more rows than these, a table has no column for each.
FEW = 6
# A cell with more characters than these breaks into lines.
LONG = 24


@dataclass(frozen=True)
class Shown:
    """A table of the page; the first column names the rows.

    `labels` are those of the section's rows where the table has a row for each, else none.
    """

    table: Table
    labels: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """What stands above it."""
        return self.table.caption or "Accuracy"

    @cached_property
    def styles(self) -> list[str]:
        """The style of each column: numbers, or texts so long that they need room."""
        return [_style(cells) for cells in zip(*self.table.rows, strict=True)]


@dataclass(frozen=True)
class Picture:
    """An image that runs got wrong; `source` is "" where the data are not at hand."""

    missed: Missed
    label: str
    answer: str
    source: str


@dataclass(frozen=True)
class View:
    """One section.

    Attributes:
        drawing: the section itself, its plots and its mistakes.
        sentences: the answer in words.
        before: tables before the plots: accuracy, and whether differences are real.
        after: tables after the plots: cost.
        runs: every seed of every row.
        figures: plots by kind.
        transfer: what is said of ImageNet accuracy where there is no plot of it; "" for nothing.
        classes: how well the best row knows each class; None without predictions.
        confused: the classes most often confused; None without predictions.
        pictures: the images most often wrong.
        notes: what a reader has to know, and what is missing, a line each.
    """

    drawing: Drawing
    sentences: tuple[str, ...]
    before: tuple[Shown, ...]
    after: tuple[Shown, ...]
    runs: Shown
    figures: Mapping[str, tuple[Figure, ...]]
    transfer: str
    classes: Shown | None
    confused: Shown | None
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]


def view(drawing: Drawing, directory: Path | None, wanted: Wanted) -> View:
    """The view of a section.

    Args:
        drawing: the section with its plots and mistakes.
        directory: where the dataset is, for pictures; by default where it was, and the caches.
        wanted: which columns and pairs it shows.

    Raises:
        DataError: the dataset is not in `directory`.
        UsageError: there is no such column.
    """
    section, mistakes = drawing.section, drawing.mistakes
    kinds = groupby(drawing.figures, key=lambda figure: figure.kind)
    spec = section.rows[0].spec
    sources, why = thumbnails.read(
        spec.data, directory, mistakes.missed, folds=spec.folds, sha256=spec.data_sha256
    )
    first, *others = document.tables(section, wanted)
    return View(
        drawing=drawing,
        sentences=tuple(summary.sentences(section)),
        before=(Shown(first, section.labels), *map(Shown, others[:-1])),
        after=tuple(Shown(table, section.labels) for table in others[-1:]),
        runs=Shown(_table("Runs", _runs(drawing))),
        figures={kind: tuple(figures) for kind, figures in kinds},
        transfer=next((networks.answer for networks in transfer.of(section)), ""),
        classes=_classes(section),
        confused=(
            Shown(_table("Classes most often confused", _confused(drawing)))
            if mistakes.pairs
            else None
        ),
        pictures=tuple(_pictures(drawing, sources)),
        notes=(
            *document.notes(section, wanted),
            *mistakes.remarks,
            *([why] if why and mistakes.missed else []),
        ),
    )


def _classes(section: Section) -> Shown | None:
    known = [
        (row.accuracy.mean, label, row.per_class)
        for label, row in zip(section.labels, section.rows, strict=True)
        if row.per_class
    ]
    if not known:
        return None
    _, label, per_class = max(known, key=lambda row: row[0])
    return Shown(class_table.table(per_class, label if len(section.rows) > 1 else ""))


def _table(caption: str, cells: Mapping[str, Sequence[str]]) -> Table:
    return Table(caption, tuple(map(Column, cells)), tuple(zip(*cells.values(), strict=True)))


def _style(cells: Sequence[str]) -> str:
    if all(map(_numeric, cells)):
        return "number"
    return "long" if max(map(len, cells)) > LONG else ""


def _numeric(cell: str) -> bool:
    """Whether it begins with a number, or is nothing."""
    first = cell.partition(" ")[0].replace(",", "")
    try:
        float(first)
    except ValueError:
        return first == "-"
    return True


def _runs(drawing: Drawing) -> dict[str, list[str]]:
    section = drawing.section
    runs = [
        (label, result)
        for label, row in zip(section.labels, section.rows, strict=True)
        for result in row.results
    ]
    return {
        "Run": [result.spec.key for _, result in runs],
        "Row": [label for label, _ in runs],
        "seed": [
            f"{result.spec.seed}" if result.spec.recipe.way.seeded else "-" for _, result in runs
        ],
        "acc-val": [f"{100 * result.reported.validation.accuracy:.2f}" for _, result in runs],
        **(
            {"acc-test": [f"{100 * result.reported.judged.accuracy:.2f}" for _, result in runs]}
            if section.metric.split == "test"
            else {}
        ),
        "epoch": [f"{result.reported.epoch or '-'}" for _, result in runs],
        "started": [result.provenance.started for _, result in runs],
    }


def _confused(drawing: Drawing) -> dict[str, list[str]]:
    """Percent of the true class, over all rows and in each."""
    pairs, classes = drawing.mistakes.pairs, drawing.classes
    rows = {
        label: 100 * normalised(counts)
        for label, counts in zip(drawing.section.labels, drawing.mistakes.confusions, strict=True)
        if counts is not None
    }
    return {
        "Class": [classes[pair.label] for pair in pairs],
        "taken for": [classes[pair.answer] for pair in pairs],
        "all rows, %": [f"{100 * pair.share:.1f}" for pair in pairs],
        **{
            f"{label}, %": [f"{shares[pair.label, pair.answer]:.1f}" for pair in pairs]
            for label, shares in rows.items()
            if 1 < len(rows) <= FEW
        },
    }


def _pictures(drawing: Drawing, sources: Mapping[int, str]) -> Iterator[Picture]:
    names = drawing.classes
    for missed in drawing.mistakes.missed:
        source = sources.get(missed.index, "")
        yield Picture(missed, names[missed.label], names[missed.answer], source)
