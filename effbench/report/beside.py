"""Published accuracies of transfer beside ours, cell by cell, with what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from effbench.data.outline import PUBLISHED
from effbench.errors import UsageError
from effbench.imagenet import synsets
from effbench.imagenet.validation_sets import IMAGENET
from effbench.records.caveats import details
from effbench.report import beside_imagenet
from effbench.report.published import (
    AUTOML,
    CASE_STUDY,
    CASE_STUDY_DATA,
    COMPOSER,
    PAPER_TRANSFER,
)
from effbench.report.rows import Row
from effbench.tables import NARROWEST, Column, Table


@dataclass(frozen=True)
class PublishedAccuracy:
    """One published figure.

    Attributes:
        variant: the network.
        data: the name of the data in `datasets.DATASETS`, or "imagenet".
        percent: test accuracy.
        std: over runs, percentage points; None for one run.
        protocol: what is known of how it came about, by the names of `_OURS`.
        image_size: pixels; None where nothing is said of it.
        split: of which images it is.
    """

    variant: str
    data: str
    percent: float
    std: float | None
    protocol: Mapping[str, str]
    image_size: int | None = None
    split: str = "test"


@dataclass(frozen=True)
class Beside:
    """A published figure and one of our rows; or none, where nothing like it was run.

    Attributes:
        published: the figure.
        row: the row of the same network and data; None where there is none.
        differs: what differs, a few words each.
    """

    published: PublishedAccuracy
    row: Row | None
    differs: tuple[str, ...] = ()


_OURS: Mapping[str, Callable[[Row], str]] = {
    "recipe": lambda row: row.spec.recipe.name,
    "weights": lambda row: row.spec.weights.name,
    "chosen on": lambda row: "no image" if row.spec.recipe.selection == "final" else "validation",
}


def _case_study() -> Iterable[PublishedAccuracy]:
    for row in CASE_STUDY.rows:
        protocol = {"recipe": "case-study-2021", "weights": row.weights, "chosen on": "validation"}
        yield PublishedAccuracy(
            row.variant, CASE_STUDY_DATA, row.test_accuracy, None, protocol, row.image_size
        )


# What the paper calls data that have another name here.
_NAMES = {"flowers": "flowers102"}


def _paper() -> Iterable[PublishedAccuracy]:
    """Section 4.3: a cosine without weight decay; every step is a number of `finetune-cosine`."""
    protocol = {"recipe": "finetune-cosine", "weights": "imagenet", "chosen on": "the test images"}
    for row in PAPER_TRANSFER.rows:
        data = _NAMES.get(row.dataset, row.dataset)
        yield PublishedAccuracy(row.variant, data, row.accuracy_mean, row.accuracy_std, protocol)


def _automl() -> Iterable[PublishedAccuracy]:
    protocol = {"recipe": "finetune", "chosen on": "the test images"}
    for row in AUTOML.rows:
        yield PublishedAccuracy(row.variant, row.dataset, row.accuracy, None, protocol)


def _composer() -> Iterable[PublishedAccuracy]:
    """ImageNet has no test labels: its validation images are what everybody reports on."""
    protocol = {"recipe": "composer", "weights": "none"}
    for row in COMPOSER.rows:
        figure = (row.variant, row.dataset, row.accuracy, None, protocol)
        yield PublishedAccuracy(*figure, image_size=224, split="validation")


TABLES: Mapping[str, Callable[[], Iterable[PublishedAccuracy]]] = {
    CASE_STUDY.name: _case_study,
    PAPER_TRANSFER.name: _paper,
    AUTOML.name: _automl,
    COMPOSER.name: _composer,
}
# Those of releases are beside no runs, but beside what `effbench imagenet` scored.
NAMES = (*TABLES, *beside_imagenet.TABLES)


def beside(name: str, rows: Sequence[Row]) -> list[Beside]:
    """Every figure of a published table, and our rows of the same network and data.

    Args:
        name: a name in `TABLES`.
        rows: ours.

    Raises:
        UsageError: there is no such table.
    """
    if name not in TABLES:
        raise UsageError("unknown published table", name, f"choose from {', '.join(NAMES)}")
    pairs = []
    for figure in TABLES[name]():
        alike = [
            row
            for row in rows
            if (row.spec.variant, _data(row)) == (figure.variant, figure.data)
            and row.metric.split == figure.split
        ]
        pairs += [Beside(figure, row, tuple(_differences(figure, row))) for row in alike]
        if not alike:
            pairs.append(Beside(figure, None))
    return pairs


def _data(row: Row) -> str:
    """The name of a row's data; folders have any names, so ImageNet is known by its classes."""
    if set(row.results[0].classes) == set(synsets.synsets()):
        return IMAGENET
    return "" if row.spec.data == IMAGENET else row.spec.data


def _differences(figure: PublishedAccuracy, row: Row) -> Iterable[str]:
    for what, theirs in figure.protocol.items():
        ours = _OURS[what](row)
        if ours != theirs:
            yield f"{what} {ours}, not {theirs}"
    if figure.image_size is not None and row.spec.image_size != figure.image_size:
        yield f"{row.spec.image_size} pixels, not {figure.image_size}"
    images = row.results[0].images
    counts = (images.train, images.validation)
    if figure.data in PUBLISHED and counts != PUBLISHED[figure.data].counts:
        train, validation = PUBLISHED[figure.data].counts
        here = f"{counts[0]:,} training and {counts[1]:,} validation images"
        yield f"{here}, not {train:,} and {validation:,}"
    for mark, much in row.marks.items():
        if mark != "not native size":  # sizes have a column
            yield details({mark: much})


def table(name: str, cells: Sequence[Beside]) -> Table:
    """The figures as a table; Size is that of our images, pixels."""
    columns = (
        *(Column("Model", words=True), Column("Data", words=True, enough=NARROWEST)),
        *(Column("Size"), *beside_imagenet.FIGURES),
    )
    return Table(f"Beside {name}", columns, tuple(map(_cells, cells)))


def _cells(cell: Beside) -> tuple[str, ...]:
    figure, row = cell.published, cell.row
    spread = "" if figure.std is None else f" ± {figure.std:.2f}"
    size = "-" if row is None else str(row.spec.image_size)
    which = (figure.variant, figure.data, size, f"{figure.percent}{spread}")
    if row is None:
        return (*which, "-", "-", "-", "not run here")
    ours = row.accuracy
    interval = "-" if ours.low is None else f"{ours.low:.2f}–{ours.high:.2f}"
    seeds = "" if ours.std is None else f" ± {ours.std:.2f}"
    difference = f"{ours.mean - figure.percent:+z.2f}"
    return (*which, f"{ours.mean:.2f}{seeds}", interval, difference, "; ".join(cell.differs) or "-")
