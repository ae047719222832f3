"""The report for files and other programs: Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from effbench.errors import one_line
from effbench.records.describe import RULES
from effbench.records.record import RunFailure
from effbench.report import summary, transfer
from effbench.report.build import LEFT_OUT, Report
from effbench.report.epoch_rules import lead
from effbench.report.render import columns, pair_table, tries_table
from effbench.report.rows import Row, tidy
from effbench.report.sections import Pair, Section
from effbench.report.select import split
from effbench.report.transfer import Transfer
from effbench.report.tries import Tries
from effbench.tables import Column, Table, comma_separated, in_latex, in_markdown, latex, markdown

# How the notes on each column begin.
_ABOUT = {"same as": "same as", "published acc-test": "published", "epoch": "epoch"}


@dataclass(frozen=True)
class Wanted:
    """What is shown of a report.

    Attributes:
        columns: names between commas instead of the usual ones, then without pairs and costs.
        pairs: whether every pair is shown in a line, however many they are.
    """

    columns: str | None = None
    pairs: bool = False


USUAL = Wanted()


def render(report: Report, style: str, wanted: Wanted = USUAL) -> str:
    """The whole report in one of `STYLES`, ending with a newline.

    Raises:
        UsageError: there is no such column.
    """
    return STYLES[style](report, wanted).rstrip("\n") + "\n"


def _markdown(report: Report, wanted: Wanted) -> str:
    parts = [summary.opening(report)]
    for section in report.sections:
        parts.append(f"### {in_markdown(section.title)}")
        parts.append(in_markdown(" ".join(summary.sentences(section))))
        for table in tables(section, wanted):
            parts += [f"**{table.caption}**" if table.caption else "", markdown(table)]
        if answers := " ".join(transfer.answers(section)):
            parts += [f"**{transfer.QUESTION}**", in_markdown(answers)]
        parts.append("\n".join(f"- {in_markdown(note)}" for note in notes(section, wanted)))
    for title, lines in endings(report):
        parts += [f"### {title}", "\n".join(f"- {in_markdown(line)}" for line in lines)]
    return "\n\n".join(filter(None, parts))


def _latex(report: Report, wanted: Wanted) -> str:
    parts = [r"% needs \usepackage{booktabs}"]
    if report.rule:
        parts.append(in_latex(lead(report.rule)))
    for section in report.sections:
        title = in_latex(section.title)
        for table in tables(section, wanted):
            caption = f": {in_latex(table.caption)}" if table.caption else ""
            parts += [
                r"\begin{table}\centering",
                rf"\caption{{{title}{caption}}}",
                latex(table),
                r"\end{table}",
            ]
        if answers := " ".join(transfer.answers(section)):
            parts.append(in_latex(f"{transfer.QUESTION} {answers}"))
        parts += [
            r"\begin{itemize}",
            *(rf"\item {in_latex(note)}" for note in _all_notes(section, wanted)),
        ]
        parts.append(r"\end{itemize}")
    parts += [f"% failed: {_failed(failure)}" for failure in report.failures]
    for title, lines in runs_in_no_table(report):
        parts += [
            rf"\paragraph{{{in_latex(title)}}}",
            r"\begin{itemize}",
            *(rf"\item {in_latex(line)}" for line in lines),
            r"\end{itemize}",
        ]
    return "\n".join(parts)


def _answer(report: Report, _: Wanted) -> str:
    """A paragraph for the whole report, one for each of its tables, and what has no table."""
    several = len(report.sections) > 1
    paragraphs = [summary.opening(report)]
    for section in report.sections:
        title = f"{section.title}: " if several else ""
        text = title + " ".join(summary.sentences(section))
        marks = dict.fromkeys(mark for row in section.rows for mark in row.marks)
        # No row is shown without its marks, and there are no tables here.
        unsaid = [f'"{mark}"' for mark in marks if f'"{mark}"' not in text]
        paragraphs.append(f"{text} Also marked: {', '.join(unsaid)}." if unsaid else text)
    if not report.sections:
        paragraphs += (line for _, lines in endings(report) for line in lines)
    return "\n\n".join(filter(None, paragraphs))


def _csv(report: Report, wanted: Wanted) -> str:
    rows = [row for section in report.sections for row in section.rows]
    titles = list(rows[0].columns)
    if wanted.columns is not None:
        titles = columns.marked(wanted.columns, rows, titles)
    cells = (
        tuple("" if (value := row.columns[title]) is None else str(value) for title in titles)
        for row in rows
    )
    return comma_separated(Table("", tuple(map(Column, titles)), tuple(cells)))


def _json(report: Report, wanted: Wanted) -> str:
    rows = [row for section in report.sections for row in section.rows]
    frame = tidy(rows)
    if wanted.columns is not None:
        frame = frame[columns.marked(wanted.columns, rows, frame.columns)]
    results = json.loads(frame.to_json(orient="records", double_precision=15))
    titles = [section.title for section in report.sections for _ in section.rows]
    return json.dumps(
        {
            "select": report.rule,
            "answer": {
                section.title: list(summary.sentences(section)) for section in report.sections
            },
            "results": [
                {"section": title} | row for title, row in zip(titles, results, strict=True)
            ],
            "classes": [
                {"section": section.title, "row": row.group} | figures
                for section in report.sections
                for row in section.rows
                for figures in _classes(row)
            ],
            "pairs": [
                _plain(section, pair) for section in report.sections for pair in section.pairs
            ],
            "searches": [
                _search(section, row, row.tries)
                for section in report.sections
                for row in section.rows
                if row.tries
            ],
            "transfer": [
                _transfer(section, networks)
                for section in report.sections
                for networks in transfer.of(section)
            ],
            "notes": {section.title: section.notes for section in report.sections},
            "failures": [
                {"key": failure.spec.key, "kind": failure.kind, "message": failure.message}
                for failure in report.failures
            ],
            "left_out": report.left_out,
            "unscored": report.unscored,
        },
        indent=1,
        ensure_ascii=False,
    )


def _classes(row: Row) -> Iterator[dict[str, object]]:
    """Each class of a row; rates and the ends of their intervals are percent."""
    for figures in row.per_class.classes if row.per_class else ():
        rates = {name: getattr(figures, name) for name in ("recall", "precision", "f1")}
        yield {
            "class": figures.name,
            "images": figures.images,
            **{
                f"{name}{'' if part == 'value' else f'_{part}'}": getattr(rate, part, None)
                for name, rate in rates.items()
                for part in ("value", "low", "high")
            },
        }


def _search(section: Section, row: Row, tries: Tries) -> dict[str, object]:
    """All that was tried for a row; validation accuracies are percent, None where all failed."""
    return {
        "section": section.title,
        "row": row.group,
        "numbers": tries.numbers,
        "tried": [
            {
                "values": dict(zip(tries.numbers, tried.values, strict=True)),
                "group": tried.spec.group,
                "seeds": tried.seeds,
                "val_accuracy_mean": tried.accuracy,
                "chosen": tried is tries.chosen,
            }
            for tried in tries.tries
        ],
    }


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


def _transfer(section: Section, networks: Transfer) -> dict[str, object]:
    """The networks of a recipe by the groups of their rows; ImageNet's top-1 is percent."""
    tau = networks.tau
    return {
        "section": section.title,
        "recipe": networks.recipe,
        "imagenet_top1": {section.rows[index].group: top1 for index, top1 in networks.top1.items()},
        "imagenet_top1_measured": networks.measured,
        "tau": tau and tau.value,
        "tau_low": tau and tau.low,
        "tau_high": tau and tau.high,
        "pairs_compared": networks.compared,
        "pairs_told_apart": networks.apart,
        "pairs_in_order": networks.kept,
        "answer": networks.answer,
    }


STYLES: Mapping[str, Callable[[Report, Wanted], str]] = {
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
    "latex": _latex,
    "answer": _answer,
}


def tables(section: Section, wanted: Wanted) -> Iterator[Table]:
    """Accuracies, what was tried, pairs and costs; or the columns that are asked for."""
    if wanted.columns is not None:
        yield columns.chosen(section.rows, wanted.columns)
        return
    yield columns.table(section.rows, columns.ACCURACY)
    if tried := tries_table.table(section.labels, section.rows):
        yield tried
    if section.pairs:
        yield pair_table.lines(section, every=wanted.pairs)
    seeds = ", all seeds together" if any(row.seeded for row in section.rows) else ""
    yield columns.costs(section.rows, f"What it cost{seeds}")


def notes(section: Section, wanted: Wanted) -> list[str]:
    """The notes below an answer: all but those that it is made of already."""
    answer = set(summary.sentences(section))
    return [note for note in _all_notes(section, wanted) if note not in answer]


def _all_notes(section: Section, wanted: Wanted) -> list[str]:
    """The notes of a section, without those on columns that are not shown."""
    if wanted.columns is None:
        return list(section.notes)
    shown = split(wanted.columns)
    hidden = tuple(about for name, about in _ABOUT.items() if name not in shown)
    return [note for note in section.notes if not note.startswith(hidden)]


def endings(report: Report) -> Iterator[tuple[str, list[str]]]:
    """What stands below all tables: lists of the runs that are in none, each with its title."""
    if report.failures:
        yield "Failed runs", [_failed(failure) for failure in report.failures]
    yield from runs_in_no_table(report)


def runs_in_no_table(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Lists of finished runs that are in no table, each with its title."""
    if report.left_out:
        yield LEFT_OUT, list(report.left_out)
    if report.unscored and report.rule:
        yield f"Without scores of {RULES[report.rule]}", list(report.unscored)


def _failed(failure: RunFailure) -> str:
    return f"{failure.spec.key}: {failure.kind}: {one_line(failure.message)}"
