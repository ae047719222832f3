"""What accuracy costs: one plot for each kind of cost, with the rows that nothing beats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import altair as alt

from effbench.report.charts import labels
from effbench.report.charts.figure import (
    PICKED,
    WIDTH,
    Chart,
    Figure,
    dimmed,
    interval,
    rounded,
    span,
    spec,
    stem,
    tooltips,
)
from effbench.report.cost import COSTS
from effbench.report.rows import Accuracy, Row
from effbench.report.sections import Section
from effbench.report.summary import listed

HEIGHT = 205
NOTE = "Bars are 95 % intervals; dashes join the rows that no other matches at lower cost."
# Pixels by which a name may stick out.
BESIDE = 40
# Costs that span more are drawn on a logarithmic scale.
LINEAR = 4


@dataclass(frozen=True)
class Axis:
    """A column of costs, what it is called, its unit in a plot, and how much one unit is."""

    column: str
    name: str
    unit: str
    size: float = 1

    @property
    def title(self) -> str:
        """The title of the axis: name and unit."""
        return f"{self.name[0].upper()}{self.name[1:]}, {self.unit}"


AXES = (
    Axis("gflops", "multiply-adds", "GFLOPs an image"),
    Axis("parameters", "parameters", "millions", 1e6),
    Axis("seconds_per_image", "time for features", "ms an image", 1e-3),
    Axis("hours", "time for all seeds", "hours"),
    Axis("peak_memory_gb", "peak memory", "GB"),
)


def figures(section: Section) -> Iterator[Figure]:
    """A plot for each cost in which rows differ."""
    for axis in AXES:
        costs = [getattr(row.cost, axis.column) for row in section.rows]
        if len(set(costs) - {None}) > 1:
            yield _figure(section, axis, costs)


def _figure(section: Section, axis: Axis, costs: Sequence[float | None]) -> Figure:
    points = [
        _Point(label, row, cost / axis.size, axis.column in row.pareto)
        for label, row, cost in zip(section.labels, section.rows, costs, strict=True)
        if cost is not None
    ]
    x = [point.cost for point in points]
    across = _Scale.over(x, log=max(x) > LINEAR * min(x) > 0)
    up = _Scale.over([bound for point in points for bound in point.bounds], log=False)
    named = _labels(points, across, up)
    measured = COSTS[axis.column]
    records = [
        {
            "row": point.label,
            "cost": float(f"{point.cost:.4g}"),
            "accuracy": rounded(point.accuracy.mean),
            **interval(point.accuracy),
            "front": "yes" if point.front else "no",
            "device": point.row.cost.device if measured else "",
            "label": point.label if index in named else "",
            **asdict(named.get(index, labels.NONE)),
        }
        for index, point in enumerate(points)
    ]
    columns = {
        "row": "Row",
        "cost": axis.title,
        "accuracy": f"{section.metric.title}, %",
        "interval": "95 % interval, %",
        "front": "on the front",
        **({"device": "device"} if measured else {}),
    }
    front = [point.label for point in points if point.front]
    several = len({record["device"] for record in records}) > 1
    return Figure(
        "pareto",
        stem("pareto", section.title, axis.column),
        f"{section.metric.title} against {axis.name}",
        f"On the front: {listed(front) if len(front) < len(points) else 'all rows'}.",
        NOTE,
        columns,
        records,
        spec(_chart(axis.title, across, up, columns, several=several)),
    )


def _labels(points: Sequence[_Point], across: _Scale, up: _Scale) -> dict[int, labels.Label]:
    """Labels clear of whiskers and the front's lines; the front comes first, then the better."""

    def left(point: _Point) -> float:
        return across(point.cost) * WIDTH

    def top(accuracy: float) -> float:
        return (1 - up(accuracy)) * HEIGHT

    taken = [
        labels.Box(left(point), top(max(point.bounds)), left(point), top(min(point.bounds)))
        for point in points
    ]
    front = sorted((point for point in points if point.front), key=lambda point: point.cost)
    for point, after in pairwise(front):
        y = top(point.accuracy.mean)
        taken.append(labels.Box(left(point), y, left(after), y))
        taken.append(labels.Box(left(after), top(after.accuracy.mean), left(after), y))
    positions = [(left(point), top(point.accuracy.mean)) for point in points]
    order = sorted(
        range(len(points)),
        key=lambda index: (not points[index].front, -points[index].accuracy.mean),
    )
    frame = labels.Box(0, 0, WIDTH + BESIDE, HEIGHT)
    return labels.place(positions, [point.label for point in points], order, taken, frame)


def _chart(
    title: str, across: _Scale, up: _Scale, columns: dict[str, str], *, several: bool
) -> Chart:
    x = alt.X("cost:Q", title=title, scale=across.scale, axis=alt.Axis(tickCount=5, grid=False))
    y = alt.Y(title=columns["accuracy"], scale=up.scale, axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(x=x, y=y.field("accuracy").type("quantitative"))
    coloured = base
    if several:
        legend = alt.Legend(columns=1)
        coloured = base.encode(color=alt.Color("device:N", legend=legend))
    front = (
        coloured.transform_filter("datum.front === 'yes'")
        .mark_line(interpolate="step-after", strokeDash=[4, 3], strokeWidth=1.25, aria=False)
        .encode(detail="device:N")
    )
    whiskers = coloured.mark_rule(strokeWidth=1.5, aria=False).encode(
        y=y.field("low").type("quantitative"), y2="high:Q", opacity=dimmed()
    )
    points = coloured.mark_circle(size=60, opacity=1).encode(
        opacity=dimmed(), tooltip=tooltips(columns)
    )
    names = base.mark_text(
        align=alt.ExprRef("datum.align"),
        dx=alt.ExprRef("datum.dx"),
        dy=alt.ExprRef("datum.dy"),
        aria=False,
    ).encode(text="label:N", opacity=dimmed())
    return (
        alt.layer(front, whiskers, points, names)
        .add_params(alt.param(name=PICKED, value=""))
        .properties(width=WIDTH, height=HEIGHT)
    )


@dataclass(frozen=True)
class _Point:
    """A row in one plot; its cost in the plot's unit, and whether it is on the front."""

    label: str
    row: Row
    cost: float
    front: bool

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy by which rows are told apart."""
        return self.row.accuracy

    @property
    def bounds(self) -> list[float]:
        """All values of the accuracy that are drawn."""
        accuracy = self.accuracy
        return [
            value for value in (accuracy.mean, accuracy.low, accuracy.high) if value is not None
        ]


@dataclass(frozen=True)
class _Scale:
    """A domain; called with a value, it says where in the domain that is, 0 to 1."""

    low: float
    high: float
    log: bool

    @classmethod
    def over(cls, values: Sequence[float], log: bool) -> _Scale:
        """The scale over some values, with room for the marks at both ends."""
        if log:
            low, high = span([math.log10(value) for value in values], 0.12)
            return cls(10**low, 10**high, log)
        return cls(*span(values, 0.12), log)

    def __call__(self, value: float) -> float:
        change = math.log10 if self.log else float
        low, high = change(self.low), change(self.high)
        return (change(value) - low) / (high - low)

    @property
    def scale(self) -> alt.Scale:
        """The same scale for Vega-Lite."""
        bounds = [self.low, self.high]
        return alt.Scale(type="log" if self.log else "linear", domain=bounds, nice=False)
