"""The accuracy of each row for every L2 that it tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from effbench.records import describe
from effbench.records.l2_search import L2Value
from effbench.records.record import RunResult
from effbench.report.charts.figure import (
    WIDTH,
    Chart,
    Figure,
    Value,
    accuracy_scale,
    rounded,
    spec,
    stem,
    tooltips,
)
from effbench.report.sections import Section

HEIGHT = 150
NOTE = "L2 grows to the right; the dot is the one that was chosen."
NOTE_OF_FOLDS = (
    "The images of all folds together. L2 grows to the right; a dot is one that was chosen."
)
TRAINING = "training"
VALIDATION, CROSS_VALIDATION = "validation", "cross-validation"
COLUMNS = {
    "l2": "L2",
    "accuracy": "Accuracy that chose, %",
    "loss": "Loss",
    "accuracy_training": "Training accuracy, %",
    "loss_training": "Training loss",
    "gradient_norm": "Gradient norm",
    "chosen": "chosen",
}


def figures(section: Section) -> Iterator[Figure]:
    """A plot for each row whose L2 was chosen from several, all on the same scales."""
    results = {
        label: row.results[0]
        for label, row in zip(section.labels, section.rows, strict=True)
        if len(_values(row.results[0])) > 1
    }
    shown = {label: list(_records(result)) for label, result in results.items()}
    accuracies = [
        value
        for records in shown.values()
        for record in records
        for value in (record["accuracy"], record["accuracy_training"])
        if isinstance(value, float)
    ]
    specs = {
        judging: spec(_chart(accuracy_scale(accuracies), judging))
        for judging in set(map(_judging, results.values()))
    }
    for label, result in results.items():
        yield Figure(
            "l2",
            stem("l2", section.title, label),
            f"Accuracy of {label} by L2",
            _summary(result),
            NOTE_OF_FOLDS if result.turns else NOTE,
            COLUMNS,
            shown[label],
            specs[_judging(result)],
        )


def _values(result: RunResult) -> Sequence[L2Value]:
    """The values of L2 that a run tried, the strongest first; none where there are epochs.

    Of a cross-validation, those that all folds solved: weaker ones were of no use to some of them,
    and the images of the others alone would make another curve.
    """
    if result.l2_search:
        return result.l2_search.values
    whole = max((value.validation.total for value in result.l2_curve), default=0)
    return [value for value in result.l2_curve if value.validation.total == whole]


def _summary(result: RunResult) -> str:
    values = _values(result)
    accuracies = [100 * value.validation.accuracy for value in values]
    best = max(values, key=lambda value: value.validation.accuracy)
    return (
        f"{_judging(result).capitalize()} accuracy is highest, "
        f"{100 * best.validation.accuracy:.2f} %, at an L2 of {best.l2:.3g}; it is "
        f"{accuracies[0]:.2f} % at the strongest and {accuracies[-1]:.2f} % at the weakest."
    )


def _judging(result: RunResult) -> str:
    folded = result.l2_search and result.l2_search.folds
    return CROSS_VALIDATION if folded else VALIDATION


def _records(result: RunResult) -> Iterator[dict[str, Value]]:
    choices = describe.choices(result)
    for value in _values(result):
        yield {
            "l2": float(f"{value.l2:.3g}"),
            "accuracy": rounded(100 * value.validation.accuracy),
            "loss": rounded(value.validation.loss, 4),
            "accuracy_training": rounded(100 * value.train.accuracy),
            "loss_training": rounded(value.train.loss, 4),
            "gradient_norm": float(f"{value.gradient_norm:.2g}"),
            "chosen": choices.get(value.l2, ""),
        }


def _chart(scale: alt.Scale, judging: str) -> Chart:
    kinds = [judging, TRAINING]
    colour = alt.Scale(domain=kinds)
    axis = alt.Axis(tickCount=6, grid=False, format=".0e")
    x = alt.X("l2:Q", title="L2", axis=axis, scale=alt.Scale(type="log", nice=False))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title="Accuracy, %", scale=scale, axis=alt.Axis(tickCount=5))

    def line(mark: alt.Chart, field: str, kind: str) -> alt.Chart:
        legend = alt.Legend(values=kinds, symbolType="stroke")
        datum = alt.ColorDatum(kind, type="nominal", scale=colour, legend=legend)
        return mark.encode(x=x, y=y(field), color=datum)

    chosen = (
        alt.Chart()
        .transform_filter("datum.chosen !== ''")
        .mark_point(filled=True, size=45, opacity=1)
        .encode(x=x, y=y("accuracy"))
    )
    # As tall as the plot, so that a value of L2 is easy to hit.
    touch = (
        alt.Chart()
        .mark_rule(opacity=0, strokeWidth=WIDTH / 45, aria=False)
        .encode(x=x, tooltip=tooltips(COLUMNS))
    )
    solid = alt.Chart().mark_line(clip=True, strokeWidth=2)
    dashed = alt.Chart().mark_line(clip=True, strokeWidth=1, strokeDash=[4, 2])
    lines = [line(dashed, "accuracy_training", TRAINING), line(solid, "accuracy", kinds[0])]
    return alt.layer(*lines, chosen, touch).properties(width=WIDTH, height=HEIGHT)
