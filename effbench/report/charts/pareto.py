"""What accuracy costs: one plot for each kind of cost, with the rows that nothing beats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, permutations

import altair as alt

from effbench.config.variants import FAMILIES, VARIANTS
from effbench.report.charts import labels
from effbench.report.charts.figure import (
    PICKED,
    WIDTH,
    Chart,
    Figure,
    dimmed,
    interval,
    names,
    rounded,
    spec,
    stem,
    tooltips,
)
from effbench.report.charts.plane import HEIGHT, Plane, Scale, drawn
from effbench.report.cost import COSTS
from effbench.report.rows import Accuracy, Row
from effbench.report.sections import Section, pareto
from effbench.report.summary import listed

NOTE = "Bars are 95 % intervals; dashes join the rows that no other matches at lower cost."
# Of families of networks, where there are several.
SHAPES = ["circle", "triangle-up"]
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
    fronts = _fronts(section.rows, axis.column)
    points = [
        _Point(label, row, cost / axis.size, front)
        for label, row, cost, front in zip(section.labels, section.rows, costs, fronts, strict=True)
        if cost is not None
    ]
    x = [point.cost for point in points]
    plane = Plane(
        Scale.over(x, log=max(x) > LINEAR * min(x) > 0),
        Scale.over([value for point in points for value in drawn(point.accuracy)]),
    )
    named = _labels(points, plane)
    measured = COSTS[axis.column]
    families = {point.family for point in points}
    records = [
        {
            "row": point.label,
            "cost": float(f"{point.cost:.4g}"),
            "accuracy": rounded(point.accuracy.mean),
            **interval(point.accuracy),
            "front": "yes" if point.front else "no",
            "device": point.row.cost.device if measured else "",
            **({"family": point.family} if len(families) > 1 else {}),
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
        "front": "on the front of its family" if len(families) > 1 else "on the front",
        **({"device": "device"} if measured else {}),
        **({"family": "family"} if len(families) > 1 else {}),
    }
    several = len({record["device"] for record in records}) > 1
    return Figure(
        "pareto",
        stem("pareto", section.title, axis.column),
        f"{section.metric.title} against {axis.name}",
        _summary(points, axis, one_kind=not several),
        NOTE if len(families) == 1 else f"{NOTE[:-1]}, for each family.",
        columns,
        records,
        spec(_chart(axis.title, plane, columns, several=several, shaped=len(families) > 1)),
    )


def _fronts(rows: Sequence[Row], column: str) -> list[bool]:
    """Whether each row is on the front of its family of networks."""
    families = [_family(row) for row in rows]
    fronts = [False] * len(rows)
    for family in set(families):
        indices = [index for index, other in enumerate(families) if other == family]
        columns = pareto([rows[index] for index in indices])
        for index, on_front in zip(indices, columns, strict=True):
            fronts[index] = column in on_front
    return fronts


def _summary(points: Sequence[_Point], axis: Axis, *, one_kind: bool) -> str:
    """What is on the front of all; and of two families, how often one is ahead of the other."""
    front = [point.label for point in points if axis.column in point.row.pareto]
    said = [f"On the front: {listed(front) if len(front) < len(points) else 'all rows'}."]
    families: dict[str, list[_Point]] = {point.family: [] for point in points}
    for point in points:
        families[point.family].append(point)
    if one_kind and len(families) > 1:
        matched = [
            f"{name} matches {sum(any(row.matches(point) for row in rows) for point in others)} "
            f"of {len(others)} networks of {other}"
            for (name, rows), (other, others) in permutations(families.items(), 2)
        ]
        said.append(f"By the means and at no more cost, {listed(matched)}.")
    return " ".join(said)


def _family(row: Row) -> str:
    return FAMILIES[VARIANTS[row.spec.variant].family].title


def _labels(points: Sequence[_Point], plane: Plane) -> dict[int, labels.Label]:
    """Labels clear of whiskers and the front's lines; the front comes first, then the better."""
    taken = [plane.whisker(point.cost, point.accuracy) for point in points]
    front = sorted((point for point in points if point.front), key=lambda point: point.cost)
    for family in {point.family for point in points}:
        for point, after in pairwise(point for point in front if point.family == family):
            corner = (after.cost, point.accuracy.mean)
            taken.append(plane.line((point.cost, point.accuracy.mean), corner))
            taken.append(plane.line(corner, (after.cost, after.accuracy.mean)))
    positions = [plane.at(point.cost, point.accuracy.mean) for point in points]
    order = sorted(
        range(len(points)),
        key=lambda index: (not points[index].front, -points[index].accuracy.mean),
    )
    return labels.arranged(positions, [point.label for point in points], order, taken, plane.frame)


def _chart(
    title: str, plane: Plane, columns: dict[str, str], *, several: bool, shaped: bool
) -> Chart:
    """The plot; with `shaped`, each family has a shape, and a colour where devices have none."""
    axis = alt.Axis(tickCount=5, grid=False)
    x = alt.X("cost:Q", title=title, scale=plane.across.scale, axis=axis)
    y = alt.Y(title=columns["accuracy"], scale=plane.up.scale, axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(x=x, y=y.field("accuracy").type("quantitative"))
    lines = marks = base
    detail = ["device:N", *(["family:N"] if shaped else [])]
    legend = alt.Legend(columns=1)
    if several:
        lines = marks = base.encode(color=alt.Color("device:N", legend=legend))
    elif shaped:  # a legend of lines would stand beside that of points
        lines = base.encode(stroke=alt.Stroke("family:N", legend=None))
        marks = base.encode(color=alt.Color("family:N", legend=legend))
    front = (
        lines.transform_filter("datum.front === 'yes'")
        .mark_line(interpolate="step-after", strokeDash=[4, 3], strokeWidth=1.25, aria=False)
        .encode(detail=detail)
    )
    whiskers = lines.mark_rule(strokeWidth=1.5, aria=False).encode(
        y=y.field("low").type("quantitative"), y2="high:Q", opacity=dimmed()
    )
    points = marks.mark_circle(size=60, opacity=1)
    if shaped:
        shapes = alt.Shape("family:N", scale=alt.Scale(range=SHAPES), legend=legend)
        points = marks.mark_point(size=60, opacity=1, filled=True).encode(shape=shapes)
    points = points.encode(opacity=dimmed(), tooltip=tooltips(columns))
    return (
        alt.layer(front, whiskers, points, names(base))
        .add_params(alt.param(name=PICKED, value=""))
        .properties(width=WIDTH, height=HEIGHT)
    )


@dataclass(frozen=True)
class _Point:
    """A row in one plot; its cost in the plot's unit, and if it is on its family's front."""

    label: str
    row: Row
    cost: float
    front: bool

    @property
    def family(self) -> str:
        """The family of its network."""
        return _family(self.row)

    def matches(self, other: _Point) -> bool:
        """Whether it is as good as another at no more cost."""
        return self.cost <= other.cost and self.accuracy.mean >= other.accuracy.mean

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy by which rows are told apart."""
        return self.row.accuracy
