"""What each row takes for what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from effbench.report.charts.figure import Chart, Figure, Value, rounded, spec, stem, tooltips
from effbench.report.mistakes import Array, most_confused, normalised
from effbench.report.sections import Section

CELL = 26
# A cell with less percent than this stays empty.
SHOWN = 0.5
NOTE = f"Percent of each true class, all seeds together; empty below {SHOWN} %."
COLUMNS = {"label": "Class", "answer": "Taken for", "share": "% of the class", "images": "Images"}


def figures(
    section: Section, confusions: Sequence[Array | None], classes: Sequence[str]
) -> Iterator[Figure]:
    """A matrix for each row with predictions, all on the same scale."""
    present = {
        label: counts
        for label, counts in zip(section.labels, confusions, strict=True)
        if counts is not None
    }
    worst = max(
        (pair.share for confusion in present.values() for pair in most_confused(confusion)),
        default=0,
    )
    chart = spec(_chart(classes, 100 * worst or 1))
    for label, counts in present.items():
        pairs = most_confused(counts)
        most = (
            f"Most often, {classes[pairs[0].label]} is taken for {classes[pairs[0].answer]}: "
            f"{100 * pairs[0].share:.1f} % of its images."
            if pairs
            else "Nothing is taken for anything else."
        )
        yield Figure(
            "confusion",
            stem("confusion", section.title, label),
            f"What {label} takes for what",
            most,
            NOTE,
            COLUMNS,
            list(_records(counts, classes)),
            chart,
        )


def _records(counts: Array, classes: Sequence[str]) -> Iterator[dict[str, Value]]:
    shares = 100 * normalised(counts)
    for label, name in enumerate(classes):
        for answer, other in enumerate(classes):
            yield {
                "label": name,
                "answer": other,
                "share": rounded(float(shares[label, answer])),
                "images": int(counts[label, answer]),
            }


def _chart(classes: Sequence[str], worst: float) -> Chart:
    x = alt.X("answer:N", sort=list(classes), title="Taken for", axis=alt.Axis(labelAngle=-45))
    y = alt.Y("label:N", sort=list(classes), title="True class")
    off, on = "datum.label !== datum.answer", "datum.label === datum.answer"
    cells = (
        alt.Chart()
        .transform_filter(off)
        .mark_rect(aria=False)  # a hundred cells are better read as the table of the data
        .encode(
            x=x,
            y=y,
            color=alt.Color("share:Q", scale=alt.Scale(domain=[0, worst]), legend=None),
            tooltip=tooltips(COLUMNS),
        )
    )

    text = alt.Chart().encode(x=x, y=y)
    shares = text.transform_filter(f"{off} && datum.share >= {SHOWN}")
    right = text.transform_filter(on)
    return alt.layer(
        cells,
        shares.mark_text(fontSize=10, aria=False).encode(text=alt.Text("share:Q", format=".1f")),
        right.mark_text(fontSize=10, fontWeight="bold", aria=False).encode(
            text=alt.Text("share:Q", format=".0f")
        ),
    ).properties(width=CELL * len(classes), height=CELL * len(classes))
