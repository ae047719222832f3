"""Runs that solve a regression: whole ones, from the options to the report, and what is refused."""

import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.options import sweep_options
from support.pictures import fill
from support.records import result as finished

from effbench.data import datasets
from effbench.errors import EffbenchError, NonFiniteError
from effbench.records import describe, validate
from effbench.records.consistency import of_record
from effbench.records.record import RunResult, Seconds
from effbench.records.store import HISTORY, Store
from effbench.report import build
from effbench.report.charts import drawing
from effbench.report.render import document, page
from effbench.report.select import Selection
from effbench.sweep import run_job
from effbench.sweep.rerun import rerun
from effbench.sweep.resolve import resolve
from effbench.training.job import JOB, Job
from effbench.training.phases import Phases
from effbench.training.regression.logistic_regression_run import check

pytestmark = pytest.mark.usefixtures("shallow_networks")

FLAGS = {
    "variants": "B0",
    "weights": "none",
    "device": "cpu",
    "image_size": 32,
    "recipe": None,
    "settings": ("l2_values=5", "l2_from=1e-2", "l2_to=1e4"),
}


def photos(root: Path, images: int) -> Path:
    """Two classes, split 70 / 10 / 20."""
    return fill(root / "pets", {"cat": images, "dog": images})


def run(data: Path, results: Path, **flags: object) -> Store:
    request = resolve(sweep_options(**FLAGS, data=str(data), seeds="0-4", **flags))
    assert request.remarks == (
        "linear-probe has one solution, whatever the seed: one run of each variant, not --seeds "
        "0-4",
    )
    began, ended, messages = time.time(), [], []
    job = Job(request.specs, results, request.data_dir, None, "", "cpu", began)
    seconds = Phases.seconds

    def last(phases: Phases) -> Seconds:
        ended.append(time.time())
        return seconds(phases)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Phases, "seconds", last)
        run_job.run(JOB.validate_json(JOB.dump_json(job)), messages.append, lambda: False)
    _add_up(Store(results), ended[0] - began)
    assert sum(message.saved for message in messages) == len(request.specs) == 1
    assert any(message.step and message.step.unit == "solutions" for message in messages)
    return Store(results)


def _add_up(store: Store, wall: float) -> None:
    """Of all the time that a run took, its record says what it went into."""
    (record,) = store.load().results
    phases = vars(record.seconds)
    assert sum(phases.values()) == pytest.approx(wall, abs=0.02)
    assert all(seconds >= 0 for seconds in phases.values())
    for phase in ("build", "data", "features", "train", "write"):
        assert phases[phase] > 0, phase
    computed = record.provenance.features_computed > 0
    assert (phases["compile"] > 0) == computed
    shown = dict(describe.of_result(record))["seconds"]
    assert shown.startswith(f"{sum(phases.values()):,.1f}: startup ")
    assert ("compile " in shown) == computed


def result(store: Store) -> RunResult:
    (record,) = store.load(checked=True).results
    assert not validate.problems(store.directory).errors
    return record


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return photos(tmp_path_factory.mktemp("photos"), 50)


@pytest.fixture(scope="module")
def store(data, tmp_path_factory) -> Store:
    """A run whose validation images choose: five of each class."""
    return run(data, tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def folded(tmp_path_factory) -> Store:
    """A run whose validation images are too few to choose: four of each class."""
    root = tmp_path_factory.mktemp("few")
    return run(photos(root, 40), root / "results")


def test_it_has_a_curve_over_l2_instead_of_epochs(store):
    record = result(store)
    assert (record.spec.recipe.name, record.spec.seed) == ("linear-probe", 0)
    assert (record.history, record.reported.epoch, record.reported.rule) == ((), 0, "val_accuracy")
    search = record.l2_search
    np.testing.assert_allclose([row.l2 for row in search.values], np.geomspace(1e4, 1e-2, 5))
    assert search.folds == 0
    assert all(row.converged for row in search.values)
    assert search.chosen.validation == record.reported.validation
    assert "not converged" not in record.marks
    with (store.folder(record.spec.key) / HISTORY).open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["l2"]) for row in rows] == [row.l2 for row in search.values]
    assert {row["converged"] for row in rows} == {"True"}
    assert "validation_accuracy" in rows[0]


def test_a_record_that_contradicts_its_grid_is_found(store):
    record = result(store)
    assert not [*of_record(record)]
    search = record.l2_search
    first, *others = search.values
    for wrong, line in (
        (None, "l2_search: expected there, found none"),
        (replace(search, values=tuple(others)), "l2_search: values: expected 5, found 4"),
        (replace(search, values=search.values[::-1]), "l2_search: from: expected 10000 to 0.01"),
        (replace(search, folds=5), "l2_search.1.validation.total: expected 80, found 10"),
        (
            replace(search, values=(replace(first, train=first.validation), *others)),
            "l2_search.1.train.total: expected 70, found 10",
        ),
    ):
        lines = [*of_record(replace(record, l2_search=wrong))]
        assert any(found.startswith(line) for found in lines), lines


def test_a_history_where_there_are_no_epochs_is_one_line(store):
    record = replace(result(store), history=finished().history)
    assert [*of_record(record)] == ["history: epochs: expected 0, found 2"]


def test_one_that_did_not_converge_is_marked(store):
    record = result(store)
    search = record.l2_search
    last = replace(search.values[-1], converged=False)
    marked = replace(record, l2_search=replace(search, values=(*search.values[:-1], last)))
    assert marked.marks["not converged"].startswith("1 of 5 values of L2")


def test_the_strongest_l2_is_marked_where_others_are_as_accurate(store):
    record = result(store)
    search = record.l2_search
    first = search.values[0]
    alike = replace(record, l2_search=replace(search, values=(first, first, first)))
    assert alike.marks["strongest L2"] == "3 of 3 are as accurate"
    alone = replace(record, l2_search=replace(search, values=(first,)))
    assert "strongest L2" not in alone.marks


def test_the_weakest_l2_is_marked_where_it_was_chosen(store):
    record = result(store)
    low, high, *_ = sorted(record.l2_search.values, key=lambda value: value.validation.correct)
    assert low.validation.correct < high.validation.correct
    ends = replace(record, l2_search=replace(record.l2_search, values=(low, high)))
    assert ends.marks["weakest L2"] == f"{high.l2:.2g}, of 2"
    inside = replace(record, l2_search=replace(record.l2_search, values=(low, high, low)))
    alone = replace(record, l2_search=replace(record.l2_search, values=(high,)))
    assert "weakest L2" not in {*inside.marks, *alone.marks}


def test_what_is_kept_looks_like_any_head(store):
    kernel, bias = store.load_model(result(store).spec.key)
    assert (kernel.shape, bias.shape) == ((1280, 2), (2,))
    assert kernel.dtype == bias.dtype == np.float32


def test_it_comes_out_the_same_again(store, data, tmp_path):
    again = run(data, tmp_path)
    one, other = result(store), result(again)
    assert one.spec.key == other.spec.key
    assert one.l2_search == other.l2_search
    assert one.predictions == other.predictions
    assert store.model(one.spec.key).read_bytes() == again.model(one.spec.key).read_bytes()


def test_its_command_says_what_it_has(store):
    command = rerun(result(store)).command
    assert "--recipe linear-probe" in command
    assert "--set l2_values=5" in command
    for flag in ("--epochs", "--batch-size", "--start-step"):
        assert flag not in command


def test_a_report_knows_no_seeds_and_shows_the_curve(store):
    report = build.read(store, Selection())
    (section,) = report.sections
    text = document.render(report, "markdown")
    assert "one seed" not in text.lower()
    assert " L2 |" in text
    assert " seeds |" not in text
    assert " epoch |" not in text
    assert "[95 % interval over images (Wilson)]" in text
    drawings = list(drawing.draw(store, [section]))
    (figure,) = (figure for figure in drawings[0].figures if figure.kind == "l2")
    assert [record["chosen"] for record in figure.records].count("yes") == 1
    html = page.render(report, drawings)
    assert "Accuracy by L2" in html
    assert '"more":[["Values of L2",["L2",' in html


def test_show_has_a_bar_for_each_l2_on_80_columns(store, run, terminal):
    terminal(80)
    shown = run("show", "linear-probe", "--results", store.directory).out
    assert max(map(len, shown.splitlines())) <= 80
    chosen = result(store).l2_search.chosen
    (line,) = (line for line in shown.splitlines() if " chosen" in line and "█" in line)
    assert f"{chosen.l2:.2e}" in line
    assert f"{100 * chosen.validation.accuracy:.2f}" in line
    assert shown.count("█ ") >= 5
    for absent in ("epoch", "dropout", "learning rate", "seed 0", "History"):
        assert absent not in shown


def test_a_cross_validation_is_said_wherever_the_run_is_shown(folded):
    record = result(folded)
    assert record.l2_search.folds == 5
    images = record.images
    for row in record.l2_search.values:
        assert row.validation.total == images.train + images.validation
        assert row.train.total == images.train
    said = "stratified 5-fold cross-validation on training and validation images"
    assert said in dict(describe.of_result(record))["L2"]
    report = build.read(folded, Selection())
    assert said in document.render(report, "markdown")


# --- what cannot be solved -----------------------------------------------------------------------


def test_features_that_are_not_finite_are_named_with_the_image():
    dataset = datasets.load("digits").limited(20)
    parts = [
        np.random.default_rng(0).normal(size=(len(split.labels), 8)) for split in dataset.splits
    ]
    check("pooled features of B0", parts, dataset)
    parts[2][3, 5], parts[2][7, 0] = np.nan, np.inf
    with pytest.raises(NonFiniteError) as caught:
        check("pooled features of B0", parts, dataset)
    assert str(caught.value).startswith(
        f"pooled features of B0 must be finite: test: 2 of 10, the first image "
        f"{dataset.test.index[3]};"
    )


def test_features_that_are_all_the_same_are_refused():
    dataset = datasets.load("digits").limited(20)
    parts = [np.ones((len(split.labels), 8)) for split in dataset.splits]
    with pytest.raises(EffbenchError) as caught:
        check("pooled features of T", parts, dataset)
    assert str(caught.value).startswith(
        f"pooled features of T must differ between images: all 20 of train are those of image "
        f"{dataset.train.index[0]};"
    )
