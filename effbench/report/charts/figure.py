"""One plot, for a page and for files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt

from effbench.report.rows import Accuracy

# Pixels between the axes; with what stands around it, a plot is little wider than a phone.
WIDTH = 270
# What the specs call their data, which are stored beside them.
DATASET = "records"
# The name of the row that a reader points at; "" for none. The page sets it in all plots.
PICKED = "picked"

Value = str | float | None
Records = Sequence[Mapping[str, Value]]
Spec = Mapping[str, object]
Chart = alt.LayerChart | alt.FacetChart | alt.VConcatChart


@dataclass(frozen=True)
class Figure:
    """One plot.

    Attributes:
        kind: "intervals", "pareto", "transfer", "curves", "l2", "classes" or "confusion".
        name: the name of its files, without a suffix.
        title: what is to be seen.
        summary: the same in words, for those who do not see it.
        note: how to read all plots of this kind.
        columns: titles of the fields of its data that a reader may want as a table.
        records: its data.
        spec: Vega-Lite without data, the same for many figures.
    """

    kind: str
    name: str
    title: str
    summary: str
    note: str
    columns: Mapping[str, str]
    records: Records
    spec: Spec

    @property
    def description(self) -> str:
        """What a screen reader says."""
        return f"{self.title}. {self.summary}"

    @property
    def whole(self) -> dict[str, object]:
        """Vega-Lite with its data."""
        datasets = {DATASET: self.records}
        return {**self.spec, "datasets": datasets, "description": self.description}


def stem(*parts: str) -> str:
    """The name of a figure: its kind, the section, and what tells it from others."""
    return "-".join(map(slug, parts))


def spec(chart: Chart) -> Spec:
    """Vega-Lite of a chart, whose data come later; building it takes longer than all the rest."""
    # Altair checks each part as it is built; checking the whole again takes most of the time.
    return chart.properties(data=alt.NamedData(DATASET)).to_dict(validate=False)


def slug(text: str) -> str:
    """Text as part of a file's name or of an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def dimmed() -> alt.OpacityValue:
    """The opacity: full for the row that a reader points at, and for all while there is none."""
    other = f"{PICKED} !== '' && {PICKED} !== datum.row"
    return alt.OpacityValue(condition={"test": other, "value": 0.2}, value=1)


def names(points: alt.Chart) -> alt.Chart:
    """The names of points, in their field `label`, where `labels.arranged` put them."""
    return points.mark_text(
        align=alt.ExprRef("datum.align"),
        dx=alt.ExprRef("datum.dx"),
        dy=alt.ExprRef("datum.dy"),
        aria=False,
    ).encode(text="label:N", opacity=dimmed())


def tooltips(columns: Mapping[str, str]) -> list[alt.Tooltip]:
    """All that is known of a mark."""
    return [alt.Tooltip(field, type="nominal", title=title) for field, title in columns.items()]


def accuracy_scale(values: Sequence[float]) -> alt.Scale:
    """A scale from the lowest to the highest, with some room; never beyond 0 to 100."""
    low, high = span(values)
    return alt.Scale(domain=[max(0.0, low), min(100.0, high)], nice=False)


def span(values: Sequence[float], room: float = 0.08) -> tuple[float, float]:
    """The lowest and the highest, with a share of their distance added on both sides."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    pad = room * (high - low) or 0.5
    return low - pad, high + pad


def interval(accuracy: Accuracy) -> dict[str, Value]:
    """The ends of an interval: numbers for the marks, a text for readers."""
    low, high = rounded(accuracy.low), rounded(accuracy.high)
    text = "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
    return {"low": low, "high": high, "interval": text}


def rounded(value: float | None, digits: int = 2) -> float | None:
    """Rounds, for short files; None for infinity and NaN, which JSON has no word for."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
