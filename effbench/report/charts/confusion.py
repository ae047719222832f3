"""What each row takes for what: a matrix, or of many classes the pairs most often confused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt
from scipy.sparse import csr_array

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
from effbench.report.mistakes import PAIRS_LISTED, Confused, most_confused, normalised
from effbench.report.sections import Section

CELL = 30
# A cell with less percent than this stays empty.
SHOWN = 0.5
NOTE = f"Percent of each true class, all seeds together; empty below {SHOWN} %."
NOTE_ON_PAIRS = "Percent of each true class, all seeds together; the pairs most often confused."
# The most classes whose matrix can be read.
MOST = 20
COLUMNS = {"label": "Class", "answer": "Taken for", "share": "% of the class", "images": "Images"}


def figures(
    section: Section, confusions: Sequence[csr_array | None], classes: Sequence[str]
) -> Iterator[Figure]:
    """A plot for each row with predictions, all on the same scale."""
    many = len(classes) > MOST
    present = {
        label: counts
        for label, counts in zip(section.labels, confusions, strict=True)
        if counts is not None
    }
    confused = {label: most_confused(counts) for label, counts in present.items()}
    worst = max((pair.share for pairs in confused.values() for pair in pairs), default=0)
    scale = 100 * worst or 1
    chart = spec(_bars(scale) if many else _chart(classes, scale))
    for label, counts in present.items():
        pairs = confused[label]
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
            NOTE_ON_PAIRS if many else NOTE,
            COLUMNS,
            list(_pairs(pairs, counts, classes) if many else _matrix(counts, classes)),
            chart,
        )


def _matrix(counts: csr_array, classes: Sequence[str]) -> Iterator[dict[str, Value]]:
    shares, images = 100 * normalised(counts).toarray(), counts.toarray()
    for label, name in enumerate(classes):
        for answer, other in enumerate(classes):
            yield {
                "label": name,
                "answer": other,
                "share": rounded(float(shares[label, answer])),
                "images": int(images[label, answer]),
            }


def _pairs(
    pairs: Sequence[Confused], counts: csr_array, classes: Sequence[str]
) -> Iterator[dict[str, Value]]:
    for pair in pairs:
        yield {
            "label": classes[pair.label],
            "answer": classes[pair.answer],
            "share": rounded(100 * pair.share),
            "images": int(counts[pair.label, pair.answer]),
            "pair": f"{classes[pair.label]} → {classes[pair.answer]}",
        }
    if not pairs:  # a plot has a record at least
        yield {"label": "", "answer": "", "share": 0.0, "images": 0, "pair": "none"}


def _bars(worst: float) -> Chart:
    x = alt.X("share:Q", title=COLUMNS["share"], scale=alt.Scale(domain=[0, worst]))
    y = alt.Y("pair:N", sort=None, title=None, axis=alt.Axis(labelLimit=WIDTH))
    bars = alt.Chart().mark_bar().encode(x=x, y=y, tooltip=tooltips(COLUMNS))
    return alt.layer(bars).properties(width=WIDTH, height=CELL * PAIRS_LISTED)


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

    text = alt.Chart().encode(x=x, y=y, text=alt.Text("share:Q", format=".1f"))
    shares = text.transform_filter(f"{off} && datum.share >= {SHOWN}")
    right = text.transform_filter(on)
    return alt.layer(
        cells,
        shares.mark_text(fontSize=10, aria=False),
        right.mark_text(fontSize=10, fontWeight="bold", aria=False),
    ).properties(width=CELL * len(classes), height=CELL * len(classes))
