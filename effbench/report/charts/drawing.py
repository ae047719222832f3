"""All plots of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from effbench.records.store import Store
from effbench.report import mistakes
from effbench.report.charts import against_imagenet, confusion, curves, intervals, l2_curves, pareto
from effbench.report.charts import classes as per_class
from effbench.report.charts.figure import Figure
from effbench.report.mistakes import Mistakes
from effbench.report.sections import Section


@dataclass(frozen=True)
class Drawing:
    """A section, what its runs got wrong, its classes' names, and the plots its data allow."""

    section: Section
    mistakes: Mistakes
    classes: tuple[str, ...]
    figures: tuple[Figure, ...]


def draw(store: Store, sections: Iterable[Section]) -> Iterator[Drawing]:
    """The plots of each section; their names differ, those of one kind stand together.

    Args:
        store: where the predictions are.
        sections: the sections in the order of the report.
    """
    names: Counter[str] = Counter()
    for section in sections:
        missed = mistakes.find(store, section)
        classes = section.rows[0].results[0].classes
        figures = (
            *intervals.figures(section),
            *pareto.figures(section),
            *against_imagenet.figures(section),
            *curves.figures(section),
            *l2_curves.figures(section),
            *per_class.figures(section),
            *confusion.figures(section, missed.confusions, classes),
        )
        yield Drawing(section, missed, classes, tuple(_distinct(figures, names)))


def _distinct(figures: Iterable[Figure], names: Counter[str]) -> Iterator[Figure]:
    for figure in figures:
        names[figure.name] += 1
        again = names[figure.name] > 1
        yield replace(figure, name=f"{figure.name}-{names[figure.name]}") if again else figure
