"""`effbench reference`: for people, and for programs."""

import csv
import json
from itertools import takewhile

import pytest
from rich.console import Console

from effbench.cli import console
from effbench.cli.reference import reference
from effbench.errors import UsageError
from effbench.report.published import TABLES, flaws


@pytest.fixture(params=[80, 100])
def width(request, monkeypatch):
    terminal = Console(
        highlight=False, markup=False, width=request.param, force_terminal=True, color_system=None
    )
    monkeypatch.setattr(console, "out", terminal)
    return request.param


def test_without_a_name_it_lists_the_tables(width, capsys):
    reference()
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == list(TABLES)
    for table, first, second in zip(TABLES.values(), lines[::2], lines[1::2], strict=True):
        count = "1 row" if len(table.rows) == 1 else f"{len(table.rows)} rows"
        assert f"{table.title}, {count}" in first
        assert table.sources[0] in second
        assert max(len(first), len(second)) <= width


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_shows_every_figure_and_its_source(table, width, capsys):
    reference(table.name)
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= width
    lines = list(takewhile(lambda line: not line.startswith("- "), shown))
    assert [line.split() for line in lines[-len(table.cells) :]] == [
        cells[:-1] for cells in table.cells
    ]
    words = " ".join(" ".join(shown).split())
    assert f"- source: {table.sources[0]}" in words
    assert all(f"- {note}" in words for note in table.notes)


@pytest.mark.parametrize("name", ["case-study", "case-study-curves"])
def test_flaws_stand_below_what_they_are_about(name, capsys):
    reference(name)
    shown = capsys.readouterr().out.splitlines()
    expected = [f"- {variant}: {flaw.text}" for variant, found in flaws().items() for flaw in found]
    assert shown[-len(expected) :] == expected


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_programs_get_all_of_it(table, capsys):
    reference(table.name, csv=True)
    assert capsys.readouterr().out == table.text
    reference(table.name, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert [list(map(str, row.values())) for row in document["rows"]] == [
        [str(column.parse(cell)) for column, cell in zip(table.columns, cells, strict=True)]
        for cells in table.cells
    ]
    assert document["units"] == {each.name: each.unit for each in table.columns if each.unit}
    assert document["notes"] == list(table.notes)
    assert document["recipes"] == list(table.recipes)


def test_programs_get_the_list_and_the_flaws(capsys):
    reference(csv=True)
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["table"] for row in rows] == list(TABLES)
    reference(as_json=True)
    assert [
        {key: str(value) for key, value in row.items()}
        for row in json.loads(capsys.readouterr().out)
    ] == rows
    reference("case-study", as_json=True)
    assert json.loads(capsys.readouterr().out)["flaws"]["XL"] == [
        {"kind": "selection", "text": flaws()["XL"][0].text}
    ]


@pytest.mark.parametrize(
    ("arguments", "flags", "text"),
    [
        (["imagnet"], {}, "unknown table: imagnet; choose from case-study, case-study-curves"),
        (["imagenet"], {"csv": True, "as_json": True}, "formats exclude one another: --json --csv"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, flags, text):
    with pytest.raises(UsageError) as caught:
        reference(*arguments, **flags)
    assert text in str(caught.value)
