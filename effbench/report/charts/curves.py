"""How each row learned, epoch by epoch, over what was published of the same network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from statistics import mean

import altair as alt

from effbench.report import published
from effbench.report.charts.figure import (
    WIDTH,
    Chart,
    Figure,
    Spec,
    Value,
    accuracy_scale,
    rounded,
    span,
    spec,
    stem,
    tooltips,
)
from effbench.report.rows import Row
from effbench.report.sections import Section

HEIGHTS = {"accuracy": 150, "loss": 90}
NOTE = "Lines are means over seeds, bands their range, dots the epochs that seeds report."
VALIDATION, TRAINING, PUBLISHED = "validation", "training", "published validation"
COLUMNS = {
    "epoch": "Epoch",
    "accuracy": "Validation accuracy, %",
    "accuracy_low": "lowest seed",
    "accuracy_high": "highest seed",
    "accuracy_training": "Training accuracy, %",
    "accuracy_published": "Published validation accuracy, %",
    "loss": "Validation loss",
    "loss_low": "lowest seed, loss",
    "loss_high": "highest seed, loss",
    "loss_training": "Training loss",
    "loss_published": "Published validation loss",
    "chosen": "seeds that report this epoch",
}


def figures(section: Section) -> Iterator[Figure]:
    """A plot for each row that trained for more than one epoch, all on the same scales."""
    rows = {
        label: records
        for label, row in zip(section.labels, section.rows, strict=True)
        if len(records := list(_records(row))) > 1
    }
    if not rows:
        return
    # Where training begins, far from all the rest, it may leave the plot; not where it ends.
    scales = {
        "accuracy": accuracy_scale(_values(rows.values(), "accuracy", max)),
        "loss": alt.Scale(domain=list(span(_values(rows.values(), "loss", min))), nice=False),
    }
    specs: dict[tuple[str, ...], Spec] = {}
    for label, records in rows.items():
        columns = {name: title for name, title in COLUMNS.items() if _present(name, records)}
        known = tuple(columns)
        specs[known] = specs.get(known) or spec(_chart(scales, columns))
        yield Figure(
            "curves",
            stem("curves", section.title, label),
            f"Learning curves of {label}",
            _summary(records),
            NOTE,
            columns,
            records,
            specs[known],
        )


def _present(name: str, records: list[dict[str, Value]]) -> bool:
    return any(record[name] is not None for record in records)


def _summary(records: list[dict[str, Value]]) -> str:
    first, last = records[0], records[-1]
    figure = last["accuracy_published"]
    return (
        f"Validation accuracy goes from {first['accuracy']:.2f} to {last['accuracy']:.2f} % "
        f"in {last['epoch']} epochs" + ("." if figure is None else f"; published: {figure:.2f} %.")
    )


def _values(
    rows: Collection[list[dict[str, Value]]], name: str, best: Callable[[list[float]], float]
) -> list[float]:
    def known(*fields: str) -> list[float]:
        values = [record[field] for records in rows for record in records for field in fields]
        return [value for value in values if isinstance(value, float)]

    shown = known(name, f"{name}_low", f"{name}_high", f"{name}_published")
    training = known(f"{name}_training")
    return [*shown, best(training)] if training else shown


def _records(row: Row) -> Iterator[dict[str, Value]]:
    chosen = [result.reported.epoch for result in row.results]
    has_published = row.accuracy.published is not None
    curve = published.case_study_curves().get(row.spec.variant, ()) if has_published else ()
    published_epochs = {epoch.epoch: epoch for epoch in curve}
    for epochs in zip(*(result.history for result in row.results), strict=False):
        number = epochs[0].epoch
        accuracies = [100 * epoch.validation.accuracy for epoch in epochs]
        losses = [epoch.validation.loss for epoch in epochs]
        beside = published_epochs.get(number)
        yield {
            "epoch": number,
            **_over_seeds("accuracy", accuracies, 2),
            "accuracy_training": rounded(100 * mean(epoch.train.accuracy for epoch in epochs)),
            "accuracy_published": rounded(100 * beside.val_accuracy) if beside else None,
            **_over_seeds("loss", losses, 4),
            "loss_training": rounded(mean(epoch.train.loss for epoch in epochs), 4),
            "loss_published": beside.val_loss if beside else None,
            "chosen": chosen.count(number),
        }


def _over_seeds(name: str, values: Sequence[float], digits: int) -> dict[str, Value]:
    several = len(values) > 1
    return {
        name: rounded(mean(values), digits),
        f"{name}_low": rounded(min(values), digits) if several else None,
        f"{name}_high": rounded(max(values), digits) if several else None,
    }


def _chart(scales: Mapping[str, alt.Scale], columns: Mapping[str, str]) -> Chart:
    accuracy = _panel("accuracy", "Accuracy, %", scales["accuracy"], columns, last=False)
    loss = _panel("loss", "Loss, nats", scales["loss"], columns, last=True)
    return alt.vconcat(accuracy, loss, spacing=8)


def _panel(
    name: str, title: str, scale: alt.Scale, columns: Mapping[str, str], *, last: bool
) -> Chart:
    has_published = f"{name}_published" in columns
    kinds = [VALIDATION, TRAINING, *([PUBLISHED] if has_published else [])]
    colour = alt.Scale(domain=[VALIDATION, TRAINING, PUBLISHED])
    axis = alt.Axis(tickCount=6, grid=False, labels=last, ticks=last)
    x = alt.X("epoch:Q", title="Epoch" if last else None, axis=axis, scale=alt.Scale(nice=False))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))

    def line(mark: alt.Chart, field: str, kind: str) -> alt.Chart:
        legend = alt.Legend(values=kinds, symbolType="stroke")
        datum = alt.ColorDatum(kind, type="nominal", scale=colour, legend=legend)
        return mark.encode(x=x, y=y(field), color=datum)

    band = (
        alt.Chart()
        .mark_area(opacity=0.25, clip=True, aria=False)
        .encode(x=x, y=y(f"{name}_low"), y2=f"{name}_high:Q")
    )
    chosen = (
        alt.Chart()
        .transform_filter("datum.chosen > 0")
        .mark_point(filled=True, size=45, opacity=1)
        .encode(x=x, y=y(name))
    )
    # These marks are as tall as the panel, so that an epoch is easy to hit.
    touch = (
        alt.Chart()
        .mark_rule(opacity=0, strokeWidth=WIDTH / 25, aria=False)
        .encode(x=x, tooltip=tooltips(columns))
    )
    solid = alt.Chart().mark_line(clip=True, strokeWidth=2)
    dashed = alt.Chart().mark_line(clip=True, strokeWidth=1, strokeDash=[4, 2])
    lines = [
        *([line(solid, f"{name}_published", PUBLISHED)] if has_published else []),
        line(dashed, f"{name}_training", TRAINING),
        line(solid, name, VALIDATION),
    ]
    return alt.layer(band, *lines, chosen, touch).properties(width=WIDTH, height=HEIGHTS[name])
