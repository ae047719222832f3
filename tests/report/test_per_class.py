"""Figures of classes are scikit-learn's, and their intervals hold what they must."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics
from support.records import complete

from effbench.records.store import Store
from effbench.report import build, per_class
from effbench.report.charts.drawing import draw
from effbench.report.render import class_table, document, page
from effbench.report.render.document import Wanted
from effbench.report.select import Selection
from effbench.report.statistics import wilson


def answers(classes: int, images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    wrong = random.random(images) < 0.3
    return labels, np.where(wrong, random.integers(0, classes, images), labels)


@pytest.mark.parametrize(("classes", "images"), [(2, 50), (10, 400), (300, 2000)])
def test_figures_are_those_of_scikit_learn(classes, images):
    labels, predicted = answers(classes, images)
    figures = per_class.of(tuple(map(str, range(classes))), [(labels, predicted)])
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(classes), zero_division=0
    )
    for index, one in enumerate(figures.classes):
        assert one.images == support[index]
        for rate, expected in ((one.recall, recall), (one.precision, precision), (one.f1, f1)):
            if rate is None:
                assert expected[index] == 0
            else:
                assert rate.value == pytest.approx(100 * expected[index])
                assert 0 <= rate.low <= rate.value + 1e-9 <= rate.high + 2e-9 <= 100 + 3e-9
    balanced = metrics.balanced_accuracy_score(labels, predicted)
    assert figures.balanced_accuracy == pytest.approx(100 * balanced)
    macro = metrics.f1_score(labels, predicted, average="macro")
    assert figures.macro_f1 == pytest.approx(100 * macro)


def test_intervals_are_of_the_images_of_one_seed_however_many_seeds_there_are():
    labels, predicted = answers(2, 60)
    one = per_class.of(("a", "b"), [(labels, predicted)])
    three = per_class.of(("a", "b"), [(labels, predicted)] * 3)
    assert one.classes == three.classes
    right, images = int((predicted[labels == 1] == 1).sum()), int((labels == 1).sum())
    recall = one.classes[1].recall
    assert (recall.low / 100, recall.high / 100) == pytest.approx(wilson(right, images))


def test_groups_of_one_image_are_images_and_groups_of_many_know_less():
    labels, predicted = answers(3, 240)
    names = ("a", "b", "c")
    runs = [(labels, predicted)]
    alone = per_class.of(names, runs, groups=np.arange(240)).classes
    for figures, plain in zip(alone, per_class.of(names, runs).classes, strict=True):
        for name in ("recall", "precision", "f1"):
            rate, wilsons = getattr(figures, name), getattr(plain, name)
            assert rate.value == wilsons.value
            assert (rate.low, rate.high) == pytest.approx((wilsons.low, wilsons.high), abs=1)
    # Eight copies of each image are no more images, whatever class they are of.
    repeated = [(labels.repeat(8), predicted.repeat(8))]
    copies = per_class.of(names, repeated, groups=np.arange(240).repeat(8)).classes
    for figures, one in zip(copies, alone, strict=True):
        for name in ("recall", "precision", "f1"):
            rate, single = getattr(figures, name), getattr(one, name)
            assert (rate.low, rate.high) == pytest.approx((single.low, single.high))


def test_intervals_over_groups_hold_the_truth_where_wilsons_do_not():
    """Patients with 6 photos each, whom the network knows wholly, mostly or hardly."""
    random = np.random.default_rng(0)
    groups = np.arange(40).repeat(6)
    labels = groups % 2
    held = {"groups": 0, "images": 0}
    for _ in range(200):
        right = random.random(240) < random.beta(2.4, 0.6, 40)[groups]
        run = [(labels, np.where(right, labels, 1 - labels))]
        for kind, known in (("groups", groups), ("images", None)):
            recall = per_class.of(("a", "b"), run, groups=known).classes[0].recall
            held[kind] += recall.low <= 80 <= recall.high
    assert held["groups"] >= 0.92 * 200
    assert held["images"] <= 0.85 * 200


def test_a_class_that_no_group_has():
    run = [(np.array([0, 0, 1]), np.array([0, 0, 0]))]
    _, b, c = per_class.of(("a", "b", "c"), run, groups=np.array([5, 5, 7])).classes
    assert (b.precision, c.recall, c.precision, c.f1) == (None, None, None, None)
    assert b.recall.low == 0
    assert b.recall.high > 75


def test_tables_and_plots_say_that_intervals_are_over_groups(tmp_path):
    store = Store(tmp_path)
    record = complete(store)
    arrays = store.predictions(record) | {"test_group": np.arange(20, dtype=np.int32) // 2}
    saved = store.save_predictions(record.spec.key, arrays, record.predictions.epochs)
    store.save(replace(record, predictions=saved))
    (drawing,) = draw(store, build.read(store, Selection()).sections)
    (plot,) = [figure for figure in drawing.figures if figure.kind == "classes"]
    assert plot.note.endswith("Bars are 95 % intervals over groups of images.")
    table = class_table.table(per_class.read(store, store.load().results))
    assert table.caption == "Classes; intervals over groups of images"


def test_a_class_without_images_or_answers_has_no_rates():
    figures = per_class.of(("a", "b", "c"), [(np.array([0, 0, 1]), np.array([0, 0, 0]))])
    a, b, c = figures.classes
    assert (b.precision, c.recall, c.precision, c.f1) == (None, None, None, None)
    assert (b.recall.value, a.precision.value) == (0, pytest.approx(200 / 3))
    assert figures.weakest == (b, a)
    assert figures.balanced_accuracy == 50


@pytest.fixture
def store(tmp_path) -> Store:
    """A row of two seeds, and one of one."""
    for variant, seed in (("B0", 0), ("B0", 1), ("B1", 0)):
        complete(Store(tmp_path), variant=variant, seed=seed)
    return Store(tmp_path)


def test_json_and_columns_have_them(store):
    report = build.read(store, Selection())
    content = json.loads(document.render(report, "json"))
    assert len(content["classes"]) == 2 * 10
    cat = next(row for row in content["classes"] if row["class"] == "cat")
    assert {"section", "row", "images", "recall", "recall_low", "f1_high"} <= {*cat}
    assert cat["images"] == 2
    first = report.sections[0].rows[0]
    labels, predicted = (
        [store.predictions(run)[f"test_{name}"] for run in first.results]
        for name in ("label", "predicted")
    )
    expected = np.mean(
        [metrics.balanced_accuracy_score(*pair) for pair in zip(labels, predicted, strict=True)]
    )
    assert content["results"][0]["balanced_accuracy"] == pytest.approx(100 * expected)
    assert content["results"][0]["roc_auc"] is None
    columns = "variant,balanced_accuracy,macro_f1"
    shown = document.render(report, "csv", Wanted(columns))
    assert shown.splitlines()[0].startswith(columns)
    selected = build.read(store, Selection(where="balanced_accuracy >= 0", sort="-macro_f1"))
    assert len(selected.sections[0].rows) == 2


def test_the_page_has_a_table_and_a_plot_of_each_row(store):
    report = build.read(store, Selection())
    drawings = list(draw(store, report.sections))
    (drawing,) = drawings
    plots = [figure for figure in drawing.figures if figure.kind == "classes"]
    assert [figure.title for figure in plots] == [
        "How well B0 knows each class",
        "How well B1 knows each class",
    ]
    assert "Balanced accuracy" in plots[0].summary
    text = page.render(report, drawings)
    assert "<h3>Each class</h3>" in text
    assert "<h3>Classes of B" in text


def test_of_many_classes_those_with_the_lowest_f1_are_shown():
    labels, predicted = answers(300, 3000)
    figures = per_class.of(tuple(f"c{n}" for n in range(300)), [(labels, predicted)])
    table = class_table.table(figures)
    assert table.caption == "Classes: the 50 of 300 with the lowest F1"
    assert len(table.rows) == 50
    assert table.rows[0][0] == figures.weakest[0].name
