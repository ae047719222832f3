"""The report for a terminal: the answer, then tables as wide as there is room for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from rich.console import RenderableType

from effbench.records.caveats import CAVEATS, Caveat
from effbench.report import summary, transfer
from effbench.report.build import Report
from effbench.report.render import columns, footnote_signs, pair_table, tries_table, wrapped
from effbench.report.render.document import USUAL, Wanted, endings, notes
from effbench.report.sections import Section, labels
from effbench.tables import Table, fitted, grid

_COST = "GFLOPs: the arithmetic that an image takes, in billions of multiply-adds."
# How those notes begin that say nothing without a column, and those that all sections share.
_ABOUT = {"hours": ("Seconds and hours", "Features of"), "published": ("published",)}
_GENERAL = ("same as", "Percent", "Seconds and hours")

# The sign of each mark, as it stands behind the name of a row and before what it means.
Signs = Mapping[Caveat, str]


def render(report: Report, width: int, wanted: Wanted = USUAL) -> Iterator[RenderableType]:
    """What a terminal of `width` characters prints, one thing below the other.

    Raises:
        UsageError: there is no such column.
    """
    yield from wrapped.paragraph(summary.opening(report), width)
    explained: set[Caveat] = set()
    shown: set[str] = set()
    hidden: dict[str, None] = {}
    for section in report.sections:
        signs = _signs(section)
        table = _table(section, wanted, signs)
        titles = {column.title for column in fitted(table, width).columns}
        shown |= titles
        hidden |= {column.title: None for column in table.columns if column.title not in titles}
        yield from wrapped.paragraph(section.title, width, "bold")
        yield from wrapped.paragraph(" ".join(summary.sentences(section)), width)
        yield grid(table, width)
        for footnote in _footnotes(section, signs, explained):
            yield from wrapped.lines(footnote, width, indent="  ")
        yield ""
        tried = tries_table.table(section.labels, section.rows)
        if tried and wanted.columns is None:
            yield from wrapped.lines(tried.caption, width, style="bold")
            yield grid(replace(tried, caption=""), width)
            yield ""
        if section.pairs and wanted.columns is None:
            pairs = (
                pair_table.lines(section, every=True)
                if wanted.pairs
                else pair_table.on_terminal(section, width)
            )
            # A caption as wide as the terminal, not as the table.
            caption, *legend = pairs.caption.split("\n")
            yield from wrapped.lines(caption, width, style="bold")
            yield from wrapped.lines("".join(legend), width)
            yield grid(replace(pairs, caption=""), width)
            yield ""
        if answers := " ".join(transfer.answers(section)):
            yield from wrapped.paragraph(f"{transfer.QUESTION} {answers}", width)
    yield from wrapped.points(
        "Notes",
        [*_notes(report, wanted, shown), *wrapped.left_out(hidden, "--columns chooses")],
        width,
    )
    for title, texts in endings(report):
        yield from wrapped.points(title, texts, width)


def _signs(section: Section) -> Signs:
    present = {mark for row in section.rows for mark in row.marks}
    caveats = [caveat for caveat in CAVEATS if caveat.name in present]
    numbered = footnote_signs.numbered(caveat.name for caveat in caveats)
    return {caveat: numbered[caveat.name] for caveat in caveats}


def _table(section: Section, wanted: Wanted, signs: Signs) -> Table:
    rows = section.rows
    signed = [
        " ".join(sign for caveat, sign in signs.items() if caveat.name in row.marks) for row in rows
    ]
    if wanted.columns is not None:
        return columns.chosen(rows, wanted.columns, signed)
    names = zip(labels(rows, {"image_size"}), signed, strict=True)
    return columns.on_terminal(rows, [" ".join(filter(None, name)) for name in names])


def _footnotes(section: Section, signs: Signs, explained: set[Caveat]) -> Iterator[str]:
    """What the signs of a section stand for; a report explains each mark once."""
    for caveat, sign in signs.items():
        details: dict[str, list[str]] = {}
        for row, label in zip(section.rows, section.labels, strict=True):
            if caveat.name in row.marks:
                details.setdefault(row.marks[caveat.name], []).append(label)
        if not details:
            continue
        much = "; ".join(
            f"{detail} for {summary.listed(rows)}" if len(details) > 1 else detail
            for detail, rows in details.items()
        )
        meaning = "" if caveat in explained else f": {caveat.meaning}"
        explained.add(caveat)
        yield f"{sign} {caveat.name}{f' ({much})' if much else ''}{meaning}."


def _notes(report: Report, wanted: Wanted, shown: Collection[str]) -> Iterator[str]:
    """Each note once, with the sections that it is about where these are not all.

    Notes on columns that are not shown are left out, and so is what footnotes say already.
    """
    titles: dict[str, list[str]] = {}
    for section in report.sections:
        for note in notes(section, wanted):
            titles.setdefault(note, []).append(section.title)
    silent = tuple(f"{caveat.name}: " for caveat in CAVEATS)
    for title, beginnings in _ABOUT.items():
        silent += () if any(title in column for column in shown) else beginnings
    for note, sections in titles.items():
        if not note.startswith(silent):
            general = len(sections) == len(report.sections) or note.startswith(_GENERAL)
            yield note if general else f"{note} ({summary.listed(sections)})"
    if any("GFLOPs" in column for column in shown):
        yield _COST
