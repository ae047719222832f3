"""The frame as a table: Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from tabulate import tabulate

from effbench.errors import one_line
from effbench.runs import RunFailure

MEANING = {
    "random weights": "the backbone is untrained; nothing about the variant follows from it",
    "limited": "fewer images or epochs than the recipe says; not comparable with a full run",
    "weights not a release": "loaded from a file that is not, byte for byte, a published release",
    "changed recipe": "a number of the recipe was changed on the command line",
    "not native size": "the images have another size than the variant's native one",
    "mixed_bfloat16": "the backbone computed in bfloat16",
    "backbone in every step": "no features were cached; the result is the same but for rounding",
}


def render(frame: pd.DataFrame, failures: Sequence[RunFailure], style: str) -> str:
    """The whole report in one of `STYLES`, ending with a newline."""
    return STYLES[style](frame, failures).rstrip("\n") + "\n"


def _markdown(frame: pd.DataFrame, failures: Sequence[RunFailure]) -> str:
    parts = []
    for (data, recipe), rows in _sections(frame):
        table = _tabulate(rows, "github")
        parts += [f"### {recipe} on {data}", table, _footnotes(rows)]
    if failures:
        lines = [f"- {each.spec.key}: {each.kind}: {one_line(each.message)}" for each in failures]
        parts += ["### Failed runs", "\n".join(lines)]
    return "\n\n".join(parts)


def _latex(frame: pd.DataFrame, failures: Sequence[RunFailure]) -> str:
    parts = []
    for (data, recipe), rows in _sections(frame):
        table = _tabulate(rows, "latex_booktabs")
        notes = [f"% {line}" for line in _footnotes(rows).splitlines()]
        parts.append("\n".join([f"% {recipe} on {data}", table, *notes]))
    parts += [
        f"% failed: {each.spec.key}: {each.kind}: {one_line(each.message)}" for each in failures
    ]
    return "\n".join(parts)


def _csv(frame: pd.DataFrame, _: Sequence[RunFailure]) -> str:
    return str(frame.to_csv(index=False))


def _json(frame: pd.DataFrame, failures: Sequence[RunFailure]) -> str:
    rows = json.loads(frame.to_json(orient="records", double_precision=15))
    failed = [
        {"key": each.spec.key, "kind": each.kind, "message": each.message} for each in failures
    ]
    return json.dumps({"results": rows, "failures": failed}, indent=1, ensure_ascii=False)


STYLES: Mapping[str, Callable[[pd.DataFrame, Sequence[RunFailure]], str]] = {
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
    "latex": _latex,
}


def _sections(frame: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Rows that may stand in one table: of the same data and recipe."""
    if frame.empty:
        return []
    found = frame[["data", "recipe"]].drop_duplicates().itertuples(index=False)
    return [
        ((data, recipe), frame[(frame["data"] == data) & (frame["recipe"] == recipe)])
        for data, recipe in found
    ]


def _tabulate(rows: pd.DataFrame, style: str) -> str:
    # Figures as they were rounded, not as numbers to be formatted again.
    return tabulate(_columns(rows).to_dict("list"), "keys", style, disable_numparse=True)


def _columns(rows: pd.DataFrame) -> pd.DataFrame:
    """The case study's columns in its order, then what it did not say."""
    table = pd.DataFrame(
        {
            "Model": rows["variant"],
            "Size": rows["image_size"],
            "acc-val": _percent(rows, "val_accuracy"),
            "top-5": _percent(rows, "val_top5_accuracy"),
            "acc-test": _percent(rows, "test_accuracy"),
            "weight": rows["weights"],
            "published acc-test": rows["published_test_accuracy"].map(_published),
            "seeds": rows["seeds"],
        }
    )
    if rows["marks"].any():
        table["marks"] = rows["details"]
    return table.astype(str)


def _percent(rows: pd.DataFrame, name: str) -> pd.Series[str]:
    def text(mean: float, std: float) -> str:
        return f"{mean:.2f}" if pd.isna(std) else f"{mean:.2f} ± {std:.2f}"

    pairs = zip(rows[f"{name}_mean"], rows[f"{name}_std"], strict=True)
    return pd.Series([text(*pair) for pair in pairs], index=rows.index, dtype=str)


def _published(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:.2f}"


def _footnotes(rows: pd.DataFrame) -> str:
    """What the figures are, and what the marks mean."""
    several = " mean ± standard deviation over seeds;" if (rows["seeds"] > 1).any() else ""
    present = {mark for marks in rows["marks"] for mark in str(marks).split(", ")}
    meanings = [f"- {mark}: {meaning}." for mark, meaning in MEANING.items() if mark in present]
    first = f"Percent;{several} top-5 is of validation, as in the case study."
    return "\n\n".join(filter(None, [first, "\n".join(meanings)]))
