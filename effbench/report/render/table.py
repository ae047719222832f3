"""Sections as text: Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tabulate import LATEX_ESCAPE_RULES, tabulate

from effbench.errors import one_line
from effbench.records.record import RunFailure
from effbench.report.build import LEFT_OUT, Report
from effbench.report.render import columns
from effbench.report.rows import tidy
from effbench.report.sections import Pair, Section
from effbench.report.select import split

if TYPE_CHECKING:
    import pandas as pd

Cells = Mapping[str, Sequence[str]]

# Of a table to be read; the JSON has them all.
PAIRS_SHOWN = 45
_LEFT = frozenset(
    {
        "Model",
        "weight",
        "recipe",
        "marks",
        "device",
        "best for",
        "better",
        "than",
        "real",
        "same as",
        "test",
    }
)


# How notes on a column begin.
_ABOUT = {"same as": "same as", "published acc-test": "published", "epoch": "epoch"}


def render(report: Report, style: str, names: str | None = None) -> str:
    """The whole report in one of `STYLES`, ending with a newline.

    Args:
        report: what to show.
        style: name of a row of `STYLES`.
        names: columns between commas instead of the usual ones, without pairs and costs.

    Raises:
        UsageError: there is no such column.
    """
    return STYLES[style](report, names).rstrip("\n") + "\n"


def _markdown(report: Report, names: str | None) -> str:
    parts = []
    for section in report.sections:
        parts.append(f"### {in_markdown(section.title)}")
        for caption, cells in tables(section, names):
            parts += [
                f"**{caption}**" if caption else "",
                _tabulate(_escaped(cells, in_markdown), "github"),
            ]
        parts.append("\n".join(f"- {in_markdown(note)}" for note in notes(section, names)))
    if report.failures:
        lines = [f"- {in_markdown(_failed(each))}" for each in report.failures]
        parts += ["### Failed runs", "\n".join(lines)]
    if report.left_out:
        lines = [f"- {in_markdown(line)}" for line in report.left_out]
        parts += [f"### {LEFT_OUT}", "\n".join(lines)]
    return "\n\n".join(filter(None, parts))


def _latex(report: Report, names: str | None) -> str:
    parts = [r"% needs \usepackage{booktabs}"]
    for section in report.sections:
        title = _in_latex(section.title)
        for caption, cells in tables(section, names):
            parts += [
                r"\begin{table}\centering",
                rf"\caption{{{title}{': ' + _in_latex(caption) if caption else ''}}}",
                _tabulate(cells, "latex_booktabs"),  # which escapes by itself
                r"\end{table}",
            ]
        parts += [
            r"\begin{itemize}",
            *(rf"\item {_in_latex(note)}" for note in notes(section, names)),
        ]
        parts.append(r"\end{itemize}")
    parts += [f"% failed: {_failed(each)}" for each in report.failures]
    if report.left_out:
        parts += [
            rf"\paragraph{{{LEFT_OUT}}}",
            r"\begin{itemize}",
            *(rf"\item {_in_latex(line)}" for line in report.left_out),
            r"\end{itemize}",
        ]
    return "\n".join(parts)


def _csv(report: Report, names: str | None) -> str:
    return str(_frame(report, names).to_csv(index=False))


def _frame(report: Report, names: str | None) -> pd.DataFrame:
    rows = [row for section in report.sections for row in section.rows]
    frame = tidy(rows)
    return frame if names is None else frame[columns.marked(names, rows, frame.columns)]


def _json(report: Report, names: str | None) -> str:
    frame = _frame(report, names)
    results = json.loads(frame.to_json(orient="records", double_precision=15))
    titles = [section.title for section in report.sections for _ in section.rows]
    return json.dumps(
        {
            "results": [
                {"section": title} | row for title, row in zip(titles, results, strict=True)
            ],
            "pairs": [
                _plain(section, pair) for section in report.sections for pair in section.pairs
            ],
            "notes": {section.title: section.notes for section in report.sections},
            "failures": [
                {"key": each.spec.key, "kind": each.kind, "message": each.message}
                for each in report.failures
            ],
            "left_out": report.left_out,
        },
        indent=1,
        ensure_ascii=False,
    )


def _plain(section: Section, pair: Pair) -> dict[str, object]:
    """A pair by the groups of its rows; differences are percentage points."""
    difference = pair.difference
    points = {name: 100 * getattr(difference, name) for name in ("mean", "low", "high")}
    return {
        "section": section.title,
        "better": section.rows[pair.first].group,
        "than": section.rows[pair.second].group,
        **{f"difference_{name}": value for name, value in points.items()},
        "p": difference.p,
        "p_holm": pair.p,
        "real": pair.real,
        "verdict": pair.verdict,
        "test": difference.test,
    }


STYLES: Mapping[str, Callable[[Report, str | None], str]] = {
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
    "latex": _latex,
}


def tables(section: Section, names: str | None) -> Iterator[tuple[str, Cells]]:
    """Captions and cells."""
    if names is not None:
        yield "", columns.chosen(section.rows, names)
        return
    yield "", columns.table(section.rows, columns.ACCURACY)
    if section.pairs:
        shown = section.pairs[:PAIRS_SHOWN]
        more = len(section.pairs) - len(shown)
        left_out = f" (the first {len(shown)}; --json has {more} more)" if more else ""
        yield f"Is the difference in test accuracy real?{left_out}", _pairs(section, shown)
    yield "What it cost, all seeds together", columns.table(section.rows, columns.COST)


def notes(section: Section, names: str | None) -> list[str]:
    """Without those on columns that are not shown."""
    hidden = [] if names is None else [name for name in _ABOUT if name not in split(names)]
    return [
        note for note in section.notes if not any(note.startswith(_ABOUT[name]) for name in hidden)
    ]


def _pairs(section: Section, pairs: Sequence[Pair]) -> Cells:
    found = [(pair, pair.difference) for pair in pairs]
    return {
        "better": [section.labels[pair.first] for pair, _ in found],
        "than": [section.labels[pair.second] for pair, _ in found],
        "by": [
            f"{100 * each.mean:.2f} [{100 * each.low:.2f}, {100 * each.high:.2f}]"
            for _, each in found
        ],
        "p": [f"{each.p:.2g}" for _, each in found],
        "p (Holm)": [f"{pair.p:.2g}" for pair, _ in found],
        "real": [pair.verdict for pair, _ in found],
        "test": [each.test for _, each in found],
    }


def _tabulate(cells: Cells, style: str) -> str:
    # Figures as they were rounded, not as numbers to be formatted again.
    sides = ["left" if title in _LEFT else "right" for title in cells]
    return tabulate(cells, "keys", style, disable_numparse=True, colalign=sides)


def _failed(failure: RunFailure) -> str:
    return f"{failure.spec.key}: {failure.kind}: {one_line(failure.message)}"


def _escaped(cells: Cells, escape: Callable[[str], str]) -> Cells:
    return {title: [escape(cell) for cell in column] for title, column in cells.items()}


def in_markdown(text: str) -> str:
    """With backslashes before what GitHub's Markdown would take as markup."""
    return re.sub(r"[\\`*|$]|&(?=#?\w+;)|<(?=[\w/!?])|(?<!\w)_|_(?!\w)|(?<=\])\(", r"\\\g<0>", text)


def _in_latex(text: str) -> str:
    return "".join(LATEX_ESCAPE_RULES.get(character, character) for character in text)
