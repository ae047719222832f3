"""Transfer accuracy against ImageNet accuracy: one plot for each recipe of a section."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict

import altair as alt

from effbench.imagenet import protocols
from effbench.records.caveats import details
from effbench.report import transfer
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
from effbench.report.rows import Row
from effbench.report.sections import Section
from effbench.report.transfer import Transfer

NOTE = "Bars are 95 % intervals; hollow points have marks. "
PUBLISHED = "ImageNet top-1 is the published one of the same weights, at the variant's native size"
MEASURED = "ImageNet top-1 was measured here, of each release by its published protocol"
SHAPES = ["circle", "triangle-up", "diamond"]


def figures(section: Section) -> Iterator[Figure]:
    """A plot for each recipe by which two networks or more were trained."""
    transfers = transfer.of(section)
    for networks in transfers:
        if len(networks.top1) > 1:
            yield _figure(section, networks, several=len(transfers) > 1)


def _figure(section: Section, networks: Transfer, *, several: bool) -> Figure:
    top1, rows = networks.top1, {index: section.rows[index] for index in networks.top1}
    plane = Plane(
        Scale.over([*top1.values()]),
        Scale.over([value for row in rows.values() for value in drawn(row.accuracy)]),
    )
    # Too few were measured here: the table of the data has their figures beside the published ones.
    beside = 0 if networks.measured else sum(row.imagenet_top1 is not None for row in rows.values())
    # The colour says which release it is.
    variants = [row.spec.variant for row in rows.values()]
    named = labels.arranged(
        [plane.at(top1[index], row.accuracy.mean) for index, row in rows.items()],
        variants,
        range(len(rows)),
        [plane.whisker(top1[index], row.accuracy) for index, row in rows.items()],
        plane.frame,
    )
    records = [
        {
            "row": section.labels[index],
            "top1": rounded(top1[index]),
            "accuracy": rounded(row.accuracy.mean),
            **interval(row.accuracy),
            "weights": row.spec.weights.name,
            "marks": details(row.marks),
            **({"protocol": _protocol(row)} if networks.measured else {}),
            **({"measured": rounded(row.imagenet_top1)} if beside else {}),
            "label": variants[position] if position in named else "",
            **asdict(named.get(position, labels.NONE)),
        }
        for position, (index, row) in enumerate(rows.items())
    ]
    columns = {
        "row": "Row",
        "top1": "Measured ImageNet top-1, %" if networks.measured else "ImageNet top-1, %",
        "accuracy": f"{section.metric.title}, %",
        "interval": "95 % interval, %",
        "weights": "weights",
        "marks": "marks",
        **({"protocol": "protocol on ImageNet"} if networks.measured else {}),
        **({"measured": "ImageNet top-1 as measured, %"} if beside else {}),
    }
    parts = [networks.recipe] if several else []
    return Figure(
        "transfer",
        stem("transfer", section.title, *parts),
        ", ".join([f"{section.metric.title} against ImageNet top-1", *parts]),
        networks.answer,
        _note(networks, beside),
        columns,
        records,
        spec(
            _chart(
                plane,
                columns,
                several=len({row.spec.weights.name for row in rows.values()}) > 1,
                hollow=sorted({bool(row.marks) for row in rows.values()}),
            )
        ),
    )


def _protocol(row: Row) -> str:
    return protocols.of(row.spec.variant, row.spec.weights.name).name


def _note(networks: Transfer, beside: int) -> str:
    few = f"; {beside} of {len(networks.top1)} were measured here, too" if beside else ""
    return f"{NOTE}{MEASURED if networks.measured else PUBLISHED}{few}."


def _chart(
    plane: Plane, columns: Mapping[str, str], *, several: bool, hollow: Collection[bool]
) -> Chart:
    """The plot; `hollow` says which points there are: an empty layer is an image without a name."""
    axis = alt.Axis(tickCount=5, grid=False)
    x = alt.X("top1:Q", title=columns["top1"], scale=plane.across.scale, axis=axis)
    y = alt.Y(title=columns["accuracy"], scale=plane.up.scale, axis=alt.Axis(tickCount=5))
    base = alt.Chart().encode(x=x, y=y.field("accuracy").type("quantitative"))
    whiskers = base.mark_rule(strokeWidth=1.5, aria=False).encode(
        y=y.field("low").type("quantitative"), y2="high:Q", opacity=dimmed()
    )
    points = base.encode(opacity=dimmed(), tooltip=tooltips(columns))
    if several:
        whiskers = whiskers.encode(stroke=alt.Stroke("weights:N", legend=None))
        points = points.encode(
            color="weights:N", shape=alt.Shape("weights:N", scale=alt.Scale(range=SHAPES))
        )
    plain = points.transform_filter("datum.marks === ''").mark_point(filled=True, size=60)
    marked = points.transform_filter("datum.marks !== ''").mark_point(size=60, strokeWidth=1.5)
    layers = [marked if empty else plain for empty in hollow]
    return (
        alt.layer(whiskers, *layers, names(base))
        .add_params(alt.param(name=PICKED, value=""))
        .properties(width=WIDTH, height=HEIGHT)
    )
