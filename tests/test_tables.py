"""The same rows in every format, and never wider than a terminal."""

import csv
import io
from dataclasses import replace

import pytest
from rich.console import Console

from effbench.tables import Column, Table, comma_separated, fitted, grid, latex, markdown

TABLE = Table(
    "Accuracy",
    (
        Column("Model", words=True),
        Column("Size"),
        Column("test"),
        Column("marks", words=True, rank=2),
        Column("hours", rank=1),
    ),
    (
        (
            "B0",
            "224",
            "90.82 ± 0.69",
            "weights not a release (sha256:36c9, torch), 5 $ | less",
            "0.1",
        ),
        ("XL", "512", "93.24 ± 0.10", "", "1,234.5"),
    ),
)


def lines(table: Table, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(grid(table, width))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", range(30, 121, 5))
def test_a_terminal_shows_what_it_has_room_for_and_no_line_is_longer(width):
    shown = lines(TABLE, width)
    assert max(map(len, shown)) <= width
    text = "\n".join(shown)
    assert ("marks" in text) == (width >= 90)
    assert ("hours" in text) == (width >= 35)
    for figure in ("90.82 ± 0.69", "93.24 ± 0.10", "224"):
        assert figure in text


def test_words_break_after_hyphens_before_other_columns_are_left_out():
    columns = (Column("Run", words=True, enough=16), Column("n"), Column("m", rank=1))
    table = Table("", columns, (("B0-imagenet-224-case-study", "1", "22"),))
    assert lines(table, 24)[1].split() == ["B0-imagenet-224-", "1", "22"]
    assert lines(table, 24)[2].split() == ["case-study"]
    whole = replace(table, columns=(replace(columns[0], enough=None), *columns[1:]))
    assert "m" not in lines(whole, 24)[0]


def test_words_break_where_they_must_stay():
    must = Table(
        "", (Column("Key", words=True), Column("n")), (("a long line of words " * 5, "1"),)
    )
    shown = lines(must, 40)
    assert max(map(len, shown)) <= 40
    assert sum("words" in line for line in shown) == 3


def test_the_highest_rank_goes_first_and_of_equals_the_last():
    columns = (Column("a"), Column("b", rank=1), Column("c", rank=1), Column("d", rank=2))
    table = Table("", columns, (("1" * 10,) * 4,))
    titles = [
        [column.title for column in fitted(table, width).columns] for width in (46, 45, 30, 5)
    ]
    assert titles == [["a", "b", "c", "d"], ["a", "b", "c"], ["a", "b"], ["a"]]


def test_every_other_format_has_every_column():
    rows = list(csv.reader(io.StringIO(comma_separated(TABLE))))
    assert rows[0] == ["Model", "Size", "test", "marks", "hours"]
    assert [tuple(row) for row in rows[1:]] == list(TABLE.rows)
    text = markdown(TABLE)
    assert "5 \\$ \\| less" in text
    assert text.count("\n") == 3
    assert "93.24" in latex(TABLE)
    assert r"5 \$ | less" in latex(TABLE)


def test_columns_are_chosen_by_title_in_the_order_asked_for():
    chosen = TABLE.only(["hours", "Model"])
    assert chosen.rows == (("0.1", "B0"), ("1,234.5", "XL"))
