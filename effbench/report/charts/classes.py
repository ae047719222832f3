"""How well each row knows each class."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt

from effbench.report.charts.figure import (
    WIDTH,
    Chart,
    Figure,
    Value,
    rounded,
    spec,
    stem,
    tooltips,
)
from effbench.report.per_class import ClassFigures, PerClass
from effbench.report.sections import Section

STEP = 26
# The most classes that a plot has room for.
MOST = 20
NOTE = (
    "Recall is the share of a class's images that are taken for it, precision the share of it "
    "among those that are. Bars are 95 % intervals"
)
COLUMNS = {
    "class": "Class",
    "what": "What",
    "rate": "%",
    "interval": "95 % interval, %",
    "images": "Images",
}
RATES = ("recall", "precision")


def figures(section: Section) -> Iterator[Figure]:
    """A plot for each row with predictions, all on the same scale."""
    known = {
        label: row.per_class
        for label, row in zip(section.labels, section.rows, strict=True)
        if row.per_class
    }
    shown = {label: _shown(per_class) for label, per_class in known.items()}
    lows = [
        rate.low
        for classes in shown.values()
        for figures in classes
        for rate in (figures.recall, figures.precision)
        if rate
    ]
    chart = spec(_chart(min(lows, default=0.0), max(map(len, shown.values()), default=0)))
    for label, per_class in known.items():
        over = " (Wilson)." if per_class.bounds is None else " over groups of images."
        yield Figure(
            "classes",
            stem("classes", section.title, label),
            f"How well {label} knows each class",
            per_class.sentence,
            NOTE + over,
            COLUMNS,
            [record for figures in shown[label] for record in _records(figures)],
            chart,
        )


def _shown(per_class: PerClass) -> tuple[ClassFigures, ...]:
    """All classes, or of many those that are known least."""
    return per_class.classes if len(per_class.classes) <= MOST else per_class.weakest[:MOST]


def _records(figures: ClassFigures) -> Iterator[dict[str, Value]]:
    for name in RATES:
        rate = getattr(figures, name)
        yield {
            "class": figures.name,
            "what": name,
            "rate": rounded(rate.value) if rate else None,
            "low": rounded(rate.low) if rate else None,
            "high": rounded(rate.high) if rate else None,
            "interval": f"{rate.low:.2f} to {rate.high:.2f}" if rate else "",
            "images": figures.images,
        }


def _chart(low: float, classes: int) -> Chart:
    scale = alt.Scale(domain=[max(0.0, low - 1), 100], nice=False)
    x = alt.X(title="%", scale=scale, axis=alt.Axis(tickCount=5)).type("quantitative")
    offset = alt.YOffset("what:N", sort=list(RATES))
    base = alt.Chart().encode(
        y=alt.Y("class:N", sort=None, title=None, axis=alt.Axis(labelLimit=WIDTH // 2)),
        yOffset=offset,
        color=alt.Color("what:N", sort=list(RATES)),
    )
    bars = base.mark_rule(strokeWidth=2, aria=False).encode(x=x.field("low"), x2="high:Q")
    points = base.mark_point(filled=True, size=55, opacity=1).encode(
        x=x.field("rate"), tooltip=tooltips(COLUMNS)
    )
    return alt.layer(bars, points).properties(width=WIDTH, height=STEP * classes)
