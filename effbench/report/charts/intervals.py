"""How good each row is, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import altair as alt

from effbench.report.charts.figure import (
    PICKED,
    WIDTH,
    Chart,
    Figure,
    Value,
    accuracy_scale,
    dimmed,
    interval,
    rounded,
    spec,
    stem,
    tooltips,
)
from effbench.report.sections import Section

STEP = 38
SHAPES = ["circle", "triangle-up", "diamond"]
MEAN, SEED, PUBLISHED = "mean, 95 % interval", "one seed", "published"


def figures(section: Section) -> Iterator[Figure]:
    """One plot of all rows."""
    records = [record for index in range(len(section.rows)) for record in _records(section, index)]
    values = [record[name] for record in records for name in ("accuracy", "low", "high")]
    scale = accuracy_scale([value for value in values if isinstance(value, float)])
    shown = [what for what in (MEAN, SEED, PUBLISHED) if any(r["what"] == what for r in records)]
    columns = {
        "row": "Row",
        "what": "What",
        "accuracy": f"{section.metric.title}, %",
        "interval": "95 % interval, %",
        "seed": "seed",
    }
    yield Figure(
        "intervals",
        stem("intervals", section.title),
        f"{section.metric.title} and how sure it is",
        _summary(section),
        "",
        columns,
        records,
        spec(_chart(columns, scale, shown, len(section.rows))),
    )


def _summary(section: Section) -> str:
    means = {
        label: row.accuracy.mean for label, row in zip(section.labels, section.rows, strict=True)
    }
    best = max(means, key=lambda label: means[label])
    worst = min(means, key=lambda label: means[label])
    lowest = f"; lowest: {worst}, {means[worst]:.2f} %" if len(means) > 1 else ""
    return f"Highest: {best}, {means[best]:.2f} %{lowest}."


def _records(section: Section, index: int) -> Iterator[dict[str, Value]]:
    row, label = section.rows[index], section.labels[index]
    accuracy = row.accuracy
    none: dict[str, Value] = {"row": label, "seed": "", "low": None, "high": None, "interval": ""}
    yield none | interval(accuracy) | {"what": MEAN, "accuracy": rounded(accuracy.mean)}
    if len(row.results) > 1:
        for result in row.results:
            correct, total = row.metric.count(result)
            seed: dict[str, Value] = {"what": SEED, "seed": result.spec.seed}
            yield none | seed | {"accuracy": rounded(100 * correct / total)}
    if accuracy.published is not None:
        yield none | {"what": PUBLISHED, "accuracy": rounded(accuracy.published)}


def _chart(columns: Mapping[str, str], scale: alt.Scale, shown: list[str], rows: int) -> Chart:
    kinds = [MEAN, SEED, PUBLISHED]
    x = alt.X(title=columns["accuracy"], scale=scale, axis=alt.Axis(tickCount=5))
    x = x.type("quantitative")
    base = alt.Chart().encode(
        x=x.field("accuracy"), y=alt.Y("row:N", sort=None, axis=None), opacity=dimmed()
    )
    means = base.transform_filter(f"datum.what === '{MEAN}'")
    rules = means.mark_rule(strokeWidth=2, yOffset=5, aria=False).encode(
        x=x.field("low"), x2="high:Q"
    )
    names = means.mark_text(align="left", yOffset=-10, limit=WIDTH, aria=False)
    points = base.encode(
        color=alt.Color("what:N", scale=alt.Scale(domain=kinds), legend=alt.Legend(values=shown)),
        shape=alt.Shape("what:N", scale=alt.Scale(domain=kinds, range=SHAPES)),
        tooltip=tooltips(columns),
    )
    seeds = points.transform_filter(f"datum.what === '{SEED}'")
    others = points.transform_filter(f"datum.what !== '{SEED}'")
    layers = [
        rules,
        others.mark_point(filled=True, yOffset=5, size=75, opacity=1),
        names.encode(x=alt.value(0), text="row:N"),
    ]
    if SEED in shown:
        layers.append(seeds.mark_point(filled=True, yOffset=14, size=45, opacity=1))
    return (
        alt.layer(*layers)
        .add_params(alt.param(name=PICKED, value=""))
        .properties(width=WIDTH, height=STEP * rows)
    )
