"""Published figures beside ours: every figure has a line, and what differs is said."""

from dataclasses import replace

import pytest
from support import imagenet
from support.records import complete

from effbench.errors import UsageError
from effbench.imagenet import imagenet_records, synsets
from effbench.records.store import Store
from effbench.report import beside, build
from effbench.report.published import TABLES
from effbench.report.select import Selection
from effbench.tables import fitted


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
    assert "limited (80 images, 3 epochs)" in whole.differs
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
    assert len(cells) == len(TABLES["paper"].rows)
    assert {cell.published.data for cell in cells} == {"cifar10", "cifar100", "flowers102", "cars"}
    assert not any(cell.row for cell in cells)  # B0 has no figure there


def test_whole_trainings_stand_beside_their_recipes(rows):
    """Composer's figure is of ImageNet's validation images, which have no test split."""
    (automl, *others) = beside.beside("automl", rows)
    assert (automl.published.percent, len(others)) == (97.59, 1)
    assert automl.differs[0] == "recipe case-study, not finetune"
    (composer,) = beside.beside("composer", rows)
    assert (composer.published.variant, composer.published.percent) == ("V1-B0", 77.22)
    assert (composer.published.split, composer.row) == ("validation", None)


@pytest.mark.parametrize(
    ("folder", "names", "known"),
    [
        ("ILSVRC2012", synsets.synsets(), True),
        ("imagenet", [f"n{number:08}" for number in range(1000)], False),
        ("imagenet", synsets.synsets()[:100], False),
    ],
)
def test_imagenet_is_known_by_its_classes_not_by_its_folder(tmp_path, folder, names, known):
    store = Store(tmp_path)
    changes = {"variant": "V1-B0", "data": folder, "classes": len(names)}
    complete(store, test=False, names=tuple(names), **changes)
    rows = [row for section in build.read(store, Selection()).sections for row in section.rows]
    (composer,) = beside.beside("composer", rows)
    assert (composer.row is not None) == known
    line = "80 training and 20 validation images, not 1,281,167 and 50,000"
    assert (line in composer.differs) == known


def test_releases_stand_beside_what_was_scored(run, tmp_path):
    """No run is needed for that; another protocol is a difference, other images are no record."""
    imagenet_records.save(tmp_path, imagenet.record(39_000))
    squashed = imagenet.record(38_000, variant="T")
    imagenet_records.save(tmp_path, replace(squashed, own_protocol=False))
    imagenet_records.save(tmp_path, imagenet.record(9, variant="S", data="imagenet-v2"))
    done = run("report", "--results", tmp_path, "--beside", "imagenet", "--csv")
    lines = done.out.splitlines()
    assert len(lines) == 1 + len(TABLES["imagenet"].rows)
    assert lines[1] == "B0,imagenet,78.7,78.00,77.63–78.36,-0.70,no: lower,-"
    assert lines[5].endswith('82.3,76.00,75.62–76.37,-6.30,-,"another protocol (timm, not timm)"')
    assert lines[6] == "S,imagenet,83.9,-,-,-,-,not scored here"
    v1 = run("report", "--results", tmp_path, "--beside", "imagenet-v1", "--csv")
    assert v1.out.count("not scored here") == len(TABLES["imagenet-v1"].rows)


def test_a_folder_of_releases_alone_points_to_what_shows_them(run, tmp_path):
    imagenet_records.save(tmp_path, imagenet.record(39_000))
    status = run("status", "--results", tmp_path).out.splitlines()
    assert status[0].startswith("0 done, ")
    assert status[1] == "1 scored on ImageNet, beside the runs: 'effbench report --beside imagenet'"
    done = run("report", "--results", tmp_path)
    assert done.code == 1
    assert "has 1 scores of 'effbench imagenet' alone; --beside imagenet" in done.err


def test_every_table_has_one_name():
    assert set(beside.NAMES) <= set(TABLES)


def test_80_columns_keep_what_tells_rows_apart(rows):
    """Sizes, intervals and the numbers that were changed; a difference can be worked out."""
    result = rows[0].results[0]
    recipe = replace(result.spec.recipe, dropout=0.5)
    result = replace(result, spec=replace(result.spec, recipe=recipe))
    cells = beside.beside("automl", [*rows, replace(rows[0], results=(result,))])
    assert "changed recipe (dropout 0.5)" in cells[2].differs
    shown = fitted(beside.table("automl", cells), 80)
    titles = [column.title for column in shown.columns]
    assert titles == ["Model", "Data", "Size", "published", "ours", "95 %", "what differs"]
    assert {row[2] for row in shown.rows} == {"160", "224"}


def test_an_unknown_table_is_refused(rows):
    with pytest.raises(UsageError, match="unknown published table: timm; choose from case-study"):
        beside.beside("timm", rows)


def test_the_command_prints_it(run, tmp_path):
    complete(Store(tmp_path))
    done = run("report", "--results", tmp_path, "--beside", "case-study", "--csv")
    assert done.code == 0
    assert done.out.splitlines()[0] == "Model,Data,Size,published,ours,95 %,difference,what differs"
    refused = run("report", "--results", tmp_path, "--beside", "case-study", "--html")
    assert refused.code == 2
    assert "--beside is no html" in refused.err
