"""The one renderer of tables: the same rows for a terminal, Markdown, LaTeX, CSV and JSON.

Cells are text, rounded by whoever knows what they mean. A terminal shows as many columns as it has
room for; everything else shows all of them.
"""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table as Grid

# Between two columns of a terminal.
GAP = 2
# A column of words is not made narrower than so many characters, even on a narrow terminal.
NARROWEST = 8


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: what stands above it.
        words: whether its cells are words, on the left and broken between words where there is no
            room; else they are numbers, on the right and never broken.
        rank: a terminal without room for all columns leaves out the highest rank first; a column of
            rank 0 always stays.
        enough: characters that are enough for a column of words: no other column is left out to
            give it more; None for as many as its words take.
    """

    title: str
    words: bool = False
    rank: int = 0
    enough: int | None = None


@dataclass(frozen=True)
class Table:
    """Columns and rows.

    Attributes:
        caption: what the rows are, "" for nothing.
        columns: from left to right.
        rows: a cell for each column.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def only(self, titles: Sequence[str]) -> Table:
        """The table with these columns alone, in this order."""
        indices = [[column.title for column in self.columns].index(title) for title in titles]
        return replace(
            self,
            columns=tuple(self.columns[index] for index in indices),
            rows=tuple(tuple(row[index] for index in indices) for row in self.rows),
        )


def markdown(table: Table) -> str:
    """The rows as a table of GitHub's Markdown, without the caption; what is markup is escaped."""
    return _tabulated(table, "github", in_markdown)


def latex(table: Table) -> str:
    """The rows as a `tabular` with booktabs' lines, without the caption; escaped."""
    return _tabulated(table, "latex_booktabs", str)  # which escapes by itself


def comma_separated(table: Table) -> str:
    """The rows as CSV under their titles."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.title for column in table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def fitted(table: Table, width: int) -> Table:
    """The table without the columns that a terminal of `width` characters has no room for.

    Columns of rank 0 stay; where even these are too wide, `grid` breaks their words.
    """
    while width_of(table) > width:
        optional = [column for column in table.columns if column.rank]
        if not optional:
            break
        # Of equals the last one goes first.
        last = max(reversed(optional), key=lambda column: column.rank)
        table = table.only([column.title for column in table.columns if column is not last])
    return table


def grid(table: Table, width: int) -> Grid:
    """The table for a terminal of `width` characters: no line is longer, no figure is broken."""
    from rich.table import Table as Grid
    from rich.text import Text

    table = fitted(table, width)
    shown = Grid(
        title=Text(table.caption, "bold") if table.caption else None,
        title_justify="left",
        header_style="dim",
        box=None,
        padding=(0, GAP, 0, 0),
        pad_edge=False,
    )
    rooms = _rooms(table, width)
    for column, room in zip(table.columns, rooms, strict=True):
        shown.add_column(
            Text(_broken(column.title, room) if column.words else column.title),
            justify="left" if column.words else "right",
            no_wrap=not column.words,
            overflow="fold",
            min_width=room,
        )
    for row in table.rows:
        # As text, so that brackets and colons in it are no markup.
        shown.add_row(
            *(
                Text(_broken(cell, room) if column.words else cell)
                for column, cell, room in zip(table.columns, row, rooms, strict=True)
            )
        )
    return shown


def in_markdown(text: str) -> str:
    """The text with backslashes before what GitHub's Markdown would take as markup."""
    return re.sub(r"[\\`*|$]|&(?=#?\w+;)|<(?=[\w/!?])|(?<!\w)_|_(?!\w)|(?<=\])\(", r"\\\g<0>", text)


def in_latex(text: str) -> str:
    """With what LaTeX would take as markup escaped."""
    from tabulate import LATEX_ESCAPE_RULES

    return "".join(LATEX_ESCAPE_RULES.get(character, character) for character in text)


def _tabulated(table: Table, style: str, escape: Callable[[str], str]) -> str:
    from tabulate import tabulate

    # Figures stay as they were rounded: they are no numbers to be formatted again.
    return tabulate(
        [[escape(cell) for cell in row] for row in table.rows],
        [column.title for column in table.columns],
        style,
        disable_numparse=True,
        colalign=["left" if column.words else "right" for column in table.columns],
    )


def width_of(table: Table) -> int:
    """Characters that a terminal must have to show all columns."""
    widths = [
        min(width, column.enough or width) if column.words else width
        for column, width in zip(table.columns, _widths(table), strict=True)
    ]
    return sum(widths) + GAP * (len(widths) - 1)


def _rooms(table: Table, width: int) -> list[int]:
    """Characters for each column: columns of words give way, the widest first."""
    rooms = _widths(table)
    spare = width - sum(rooms) - GAP * (len(rooms) - 1)
    words = [index for index, column in enumerate(table.columns) if column.words]
    for _ in range(-spare):
        widest = max(words, key=lambda index: rooms[index], default=None)
        if widest is None or rooms[widest] <= NARROWEST:
            break
        rooms[widest] -= 1
    return rooms


def _broken(text: str, width: int) -> str:
    """The text with line breaks between words and after hyphens, at which rich does not break."""
    lines = (textwrap.wrap(line, width) or [""] for line in text.split("\n"))
    return "\n".join(part for parts in lines for part in parts)


def _widths(table: Table) -> list[int]:
    """Characters of the longest line of each column."""
    from rich.cells import cell_len

    titles = [column.title for column in table.columns]
    return [
        max(cell_len(line) for text in cells for line in text.split("\n"))
        for cells in zip(titles, *table.rows, strict=True)
    ]
