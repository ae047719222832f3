"""How fast networks give features, against what they reach on ImageNet: a line for each tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import altair as alt

from effbench.report import published
from effbench.report.charts import labels
from effbench.report.charts.figure import (
    PICKED,
    WIDTH,
    Chart,
    Figure,
    names,
    rounded,
    spec,
    stem,
    tooltips,
)
from effbench.report.charts.plane import HEIGHT, Plane, Scale

NOTE = (
    "Dots are medians of turns, bars the slowest and the fastest turn; ImageNet top-1 is the "
    "highest published one of the network's releases, at its native size."
)


@dataclass(frozen=True)
class Speed:
    """What one tool made of one network, at the network's native size.

    Attributes:
        variant: name of the network.
        tool: what ran it.
        median: images a second.
        slowest: of the slowest turn.
        fastest: of the fastest turn.
    """

    variant: str
    tool: str
    median: float
    slowest: float
    fastest: float


def figure(precision: str, speeds: Sequence[Speed]) -> Figure | None:
    """The plot for one precision; None where it would have fewer than two networks.

    Args:
        precision: what all were timed in, "float32" or "bfloat16".
        speeds: of a network, effbench's fastest engine comes first: it carries the name.
    """
    top1 = _top1()
    speeds = [speed for speed in speeds if speed.variant in top1]
    sides: dict[str, list[int]] = {}
    for index, speed in enumerate(speeds):
        sides.setdefault(speed.variant, []).append(index)
    if len(sides) < 2:
        return None
    plane = Plane(
        Scale.over([top1[variant] for variant in sides]),
        Scale.over([end for speed in speeds for end in (speed.slowest, speed.fastest)], log=True),
    )
    named = labels.arranged(
        [plane.at(top1[speed.variant], speed.median) for speed in speeds],
        [speed.variant for speed in speeds],
        [first for first, *_ in sides.values()],
        [
            plane.line((top1[speed.variant], speed.slowest), (top1[speed.variant], speed.fastest))
            for speed in speeds
        ],
        plane.frame,
    )
    records = [
        {
            "row": f"{speed.variant}, {speed.tool}",
            "tool": speed.tool,
            "top1": rounded(top1[speed.variant]),
            "speed": float(f"{speed.median:.4g}"),
            "low": float(f"{speed.slowest:.4g}"),
            "high": float(f"{speed.fastest:.4g}"),
            "label": speed.variant if index in named else "",
            **asdict(named.get(index, labels.NONE)),
        }
        for index, speed in enumerate(speeds)
    ]
    columns = {
        "row": "Row",
        "speed": "images a second",
        "low": "slowest turn",
        "high": "fastest turn",
        "top1": "ImageNet top-1, %",
    }
    ahead = sum(
        max(of_one, key=lambda index: speeds[index].median) == of_one[0]
        for of_one in sides.values()
    )
    return Figure(
        "speeds",
        stem("speeds", precision),
        f"Features a second in {precision} against ImageNet top-1",
        f"effbench's fastest engine is ahead of all others at {ahead} of {len(sides)} networks.",
        NOTE,
        columns,
        records,
        spec(_chart(plane, columns)),
    )


def _top1() -> dict[str, float]:
    """The highest published ImageNet top-1 of each variant, percent."""
    best: dict[str, float] = {}
    for (variant, _), row in published.imagenet().items():
        best[variant] = max(best.get(variant, 0.0), row.top1)
    return best


def _chart(plane: Plane, columns: dict[str, str]) -> Chart:
    axis = alt.Axis(tickCount=5, grid=False)
    x = alt.X("top1:Q", title=columns["top1"], scale=plane.across.scale, axis=axis)
    y = alt.Y(title=columns["speed"], scale=plane.up.scale, axis=alt.Axis(tickCount=5))
    colour = alt.Color("tool:N", sort=None, legend=alt.Legend(columns=2))
    base = alt.Chart().encode(x=x, y=y.field("speed").type("quantitative"))
    coloured = base.encode(color=colour)
    lines = coloured.mark_line(strokeWidth=1.25, aria=False)
    whiskers = coloured.mark_rule(strokeWidth=1.5, aria=False).encode(
        y=y.field("low").type("quantitative"), y2="high:Q"
    )
    points = coloured.mark_circle(size=50, opacity=1).encode(tooltip=tooltips(columns))
    return (
        alt.layer(lines, whiskers, points, names(base))
        .add_params(alt.param(name=PICKED, value=""))
        .properties(width=WIDTH, height=HEIGHT)
    )
