"""Reports on photos: any number of classes, with file names, and without a test split."""

import json

import pytest
from support.records import complete

from effbench.records import describe
from effbench.records.store import Store
from effbench.report import build, mistakes, summary
from effbench.report.charts.drawing import draw
from effbench.report.comparison import compare
from effbench.report.render import columns, comparison_table, document, page, terminal
from effbench.report.render.document import Wanted
from effbench.report.select import Selection

TWO, MANY = ("ants", "bees"), tuple(f"class {number}" for number in range(300))
SAID = (
    "; there is no test split: the figures are of the validation images, which also chose the "
    "epoch."
)


def photos(folder, names=TWO, *, test=False, **changes) -> Store:
    store = Store(folder)
    for variant, seed in (("B0", 0), ("B0", 1), ("B1", 0), ("B1", 1)):
        about = {"data": "insects", "classes": len(names), "variant": variant, "seed": seed}
        complete(store, names=names, test=test, **about, **changes)
    return store


@pytest.fixture
def store(tmp_path) -> Store:
    return photos(tmp_path / "results")


def test_rows_are_told_apart_by_validation_where_there_is_no_test_split(store):
    (section,) = build.read(store, Selection()).sections
    assert section.metric.title == "Validation accuracy"
    first, *_ = summary.sentences(section)
    assert "of the validation images right" in first
    assert first.endswith(SAID)
    means = [row.accuracies["val_accuracy"].mean for row in section.rows]
    better = [section.rows[pair.first].accuracies["val_accuracy"].mean for pair in section.pairs]
    assert better == [max(means)]
    assert all(row.pareto for row in section.rows if row.accuracy.mean == max(means))


@pytest.mark.parametrize("style", document.STYLES)
def test_no_style_calls_anything_a_test_accuracy(style, store):
    text = document.render(build.read(store, Selection()), style)
    if style in ("markdown", "latex"):
        for wrong in ("acc-test", "test accuracy", "test images"):
            assert wrong not in text.lower()
        assert "acc-val" in text
    if style == "markdown":
        assert SAID in text.split("\n\n")[1]
    if style == "json":
        (row, _) = json.loads(text)["results"]
        assert (row["test_accuracy_mean"], row["test_images"]) == (None, 0)
        assert 0.0 <= row["roc_auc"] <= 1.0
        assert json.loads(text)["answer"].popitem()[1][0].endswith(SAID)


def test_a_terminal_says_it_first_and_has_no_column_for_it(store):
    parts = [*terminal.render(build.read(store, Selection()), 160)]
    text = "\n".join(map(str, parts))
    assert "there is no test split" in " ".join(text.split())
    grids = [part for part in parts if hasattr(part, "columns")]
    headers = [str(column.header) for column in grids[0].columns]
    assert "val" in headers
    assert not {"test", "test interval", "top-5 interval"} & {*headers}


def test_the_page_has_names_of_files_and_no_test(store):
    report = build.read(store, Selection())
    drawings = list(draw(store, report.sections))
    text = page.render(report, drawings)
    content = text.partition("<script")[0]
    assert "there is no test split" in content
    assert "validation/ants/" in content or "validation/bees/" in content
    assert "acc-test" not in content
    titles = [figure.title for figure in drawings[0].figures]
    assert not any("Test" in title for title in titles)
    assert "Validation accuracy and how sure it is" in titles


def test_a_comparison_says_it_too(tmp_path, store):
    photos(tmp_path / "new", precision="mixed_bfloat16")
    comparison = compare(str(store.directory), str(tmp_path / "new"))
    assert {change.split for change in comparison.changes} == {"validation"}
    text = comparison_table.as_text(comparison, 0.3, 0.05)
    assert text.startswith(f"There{SAID[7:]}")
    assert "Validation accuracy, percent" in text
    assert "Test accuracy" not in text


def test_show_says_it(store):
    facts = dict(describe.of_result(store.load().results[0]))
    assert facts["reported"].split(",")[0].endswith(" on validation")
    assert facts["no test split"] == describe.no_test(["val_loss"])
    # An epoch that comes last anyway is not chosen by what it gets.
    assert describe.no_test(["final"]) == "the figures are of the validation images"
    assert facts["images"].endswith("20 validation, no test")


def test_of_many_classes_the_pairs_most_often_confused_are_drawn(tmp_path):
    store = photos(tmp_path, MANY, test=True)
    report = build.read(store, Selection())
    (drawing,) = draw(store, report.sections)
    plots = [figure for figure in drawing.figures if figure.kind == "confusion"]
    assert len(plots) == 2
    assert len(plots[0].records) <= mistakes.PAIRS_LISTED
    assert plots[0].records[0]["pair"].startswith("class ")
    shares = [record["share"] for record in plots[0].records]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0
    counts = drawing.mistakes.confusions[0]
    assert counts.shape == (300, 300)
    assert counts.sum() == 2 * 20
    assert drawing.mistakes.missed[0].name.startswith("test/class ")
    page.render(report, [drawing])


def test_top_5_is_there_of_more_than_five_classes_only(tmp_path, store):
    wanted = Wanted("variant,top-5")
    assert " - |" in document.render(build.read(store, Selection()), "markdown", wanted)
    many = photos(tmp_path / "many", MANY, test=True)
    assert " - |" not in document.render(build.read(many, Selection()), "markdown", wanted)


def test_data_with_and_without_a_test_split_are_never_in_one_table(tmp_path):
    photos(tmp_path)
    photos(tmp_path, test=True, limit=60)
    sections = build.read(Store(tmp_path), Selection(group_by="data")).sections
    assert sorted(section.metric.split for section in sections) == ["test", "validation"]


def test_balanced_accuracy_stands_beside_where_classes_have_not_equally_many_images(tmp_path):
    shown = []
    for names in (TWO, ("ants", "bees", "wasps")):
        (section,) = build.read(photos(tmp_path / str(len(names)), names), Selection()).sections
        known = section.rows[0].per_class
        alike = len({figures.images for figures in known.classes}) == 1
        table = columns.table(section.rows, columns.ACCURACY)
        titles = [column.title for column in table.columns]
        shown.append("balanced" in titles)
        assert shown[-1] != alike
        if not alike:
            cell = table.rows[0][titles.index("balanced")]
            assert cell == columns.plain(known.balanced_accuracy)
    assert sorted(shown) == [False, True]
