"""Published figures beside ours: every figure has a line, and what differs is said."""

import pytest
from support.records import complete

from effbench.errors import UsageError
from effbench.records.store import Store
from effbench.report import beside, build
from effbench.report.published import TABLES
from effbench.report.select import Selection


@pytest.fixture
def rows(tmp_path) -> list:
    store = Store(tmp_path)
    complete(store)
    complete(store, image_size=160)
    return [row for section in build.read(store, Selection()).sections for row in section.rows]


def test_every_figure_stands_beside_all_rows_of_its_network(rows):
    cells = beside.beside("case-study", rows)
    assert [cell.published.variant for cell in cells[:3]] == ["B0", "B0", "B1"]
    assert len(cells) == len(TABLES["case-study"].rows) + 1
    assert cells[2].row is None
    small, whole = sorted(cells[:2], key=lambda cell: cell.row.spec.image_size)
    assert "160 pixels, not 224" in small.differs
    assert whole.differs[0] == "recipe case-study, not case-study-2021"
    assert "limited" in whole.differs
    assert not any("pixels" in text for text in whole.differs)
    table = beside.table("case-study", cells)
    texts = dict(zip((column.title for column in table.columns), table.rows[2], strict=True))
    assert (texts["published"], texts["ours"]) == ("90.07", "-")
    assert texts["what differs"] == "not run here"
    ours = dict(zip((column.title for column in table.columns), table.rows[0], strict=True))
    assert float(ours["difference"]) == pytest.approx(
        float(ours["ours"].split()[0]) - 89.86, abs=0.02
    )


def test_the_papers_figures_are_of_other_recipes_and_chosen_on_the_test_set(rows):
    cells = beside.beside("paper", rows)
    assert len(cells) == len(TABLES["paper-transfer"].rows)
    assert {cell.published.data for cell in cells} == {"cifar10", "cifar100", "flowers102", "cars"}
    assert not any(cell.row for cell in cells)  # B0 has no figure there


def test_an_unknown_table_is_refused(rows):
    with pytest.raises(UsageError, match="unknown published table: timm; choose from case-study"):
        beside.beside("timm", rows)


def test_the_command_prints_it(run, tmp_path):
    complete(Store(tmp_path))
    done = run("report", "--results", tmp_path, "--beside", "case-study", "--csv")
    assert done.code == 0
    assert done.out.splitlines()[0] == "Model,Data,published,ours,95 %,difference,what differs"
    refused = run("report", "--results", tmp_path, "--beside", "case-study", "--html")
    assert refused.code == 2
    assert "--beside is no html" in refused.err
