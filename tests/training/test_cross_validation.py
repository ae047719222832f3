"""Cross-validations: whole runs, from the options to the report."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.options import sweep_options
from support.pictures import fill

from effbench.errors import EffbenchError
from effbench.export.load import load
from effbench.progress import silent
from effbench.records import describe, integrity, validate
from effbench.records.by_rule import by_rule
from effbench.records.consistency import of_record
from effbench.records.scores import SELECTIONS
from effbench.records.store import HISTORY, Store
from effbench.report import build
from effbench.report.charts import drawing
from effbench.report.comparison import compare
from effbench.report.epoch_rules import unscored
from effbench.report.render import document, page
from effbench.report.select import Selection
from effbench.sweep import run_job
from effbench.sweep.rerun import rerun
from effbench.sweep.resolve import resolve
from effbench.training.job import JOB, Job

pytestmark = pytest.mark.usefixtures("shallow_networks")

IMAGES, FOLDS = 36, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two classes, in the three splits that effbench makes."""
    return fill(tmp_path_factory.mktemp("photos") / "pets", {"cat": 18, "dog": 18})


def run(data: Path, results: Path, **flags: object) -> Store:
    request = resolve(
        sweep_options(
            variants="B0",
            weights="none",
            device="cpu",
            image_size=32,
            data=str(data),
            kfold=FOLDS,
            **flags,
        )
    )
    job = Job(request.specs, results, request.data_dir, None, "", "cpu", 0.0)
    steps = []
    run_job.run(JOB.validate_json(JOB.dump_json(job)), steps.append, lambda: False)
    train = [message.step for message in steps if message.step and message.step.phase == "train"]
    assert {step.total for step in train} == {train[-1].done}
    assert train[-1].note.startswith("fold 3 of 3, ")
    return Store(results)


@pytest.fixture(scope="module")
def heads(data, tmp_path_factory) -> Store:
    return run(data, tmp_path_factory.mktemp("heads"), epochs=2, seeds="0,1")


@pytest.fixture(scope="module")
def solved(data, tmp_path_factory) -> Store:
    settings = ("l2_values=3", "l2_from=1e-2", "l2_to=1e2")
    return run(data, tmp_path_factory.mktemp("solved"), recipe="linear-probe", settings=settings)


@pytest.fixture(params=["heads", "solved"])
def store(request) -> Store:
    return request.getfixturevalue(request.param)


def test_every_image_is_tested_once(store):
    for record in store.load(checked=True).results:
        assert (record.history, record.l2_search, len(record.turns)) == ((), None, FOLDS)
        scores = record.reported
        assert scores.test.total == scores.validation.total == IMAGES
        assert sum(turn.test.correct for turn in record.turns) == scores.test.correct
        arrays = store.predictions(record, "test_name", "test_rank", "validation_rank")
        assert len(set(arrays["test_name"].tolist())) == IMAGES
        assert (arrays["test_rank"] == 0).sum() == scores.test.correct
        for turn in record.turns:
            assert (turn.train.total, turn.test.total) == (IMAGES // 3, IMAGES // 3)
            assert (turn.l2 is None) == bool(turn.epoch)
        with (store.folder(record.spec.key) / HISTORY).open() as file:
            rows = list(csv.DictReader(file))
        accuracies = [turn.test.accuracy for turn in record.turns]
        assert [float(row["test_accuracy"]) for row in rows] == accuracies
        assert "--kfold 3" in rerun(record).command
    assert not validate.problems(store.directory).errors


def test_a_record_that_contradicts_its_turns_is_found(store):
    record, *_ = store.load().results
    assert not [*of_record(record)]
    first, *others = record.turns
    wrong = replace(first, test=first.train, train=replace(first.train, total=IMAGES))
    for turns, line in (
        ((), "turns: expected 3, found 0"),
        ((wrong, *others), f"turns.1: images: expected {IMAGES}, found {2 * IMAGES - 12}"),
        (
            (replace(first, l2=None if first.l2 else 1.0), *others),
            f"turns.1.l2: given: expected {first.l2 is not None}",
        ),
    ):
        lines = [*of_record(replace(record, turns=turns))]
        assert any(found.startswith(line) for found in lines), lines


@pytest.mark.parametrize("rule", SELECTIONS)
def test_heads_with_epochs_are_joined_by_every_rule(rule, heads):
    for record in heads.load(checked=True).results:
        assert [row.rule for row in record.selected] == [*SELECTIONS]
        run = by_rule(record, rule)
        assert run.has_predictions
        assert len(run.turns) == FOLDS
        assert run.turns == record.turns or rule != record.rule
        assert {turn.epoch for turn in run.turns} <= ({2} if rule == "final" else {1, 2})
        ranks, findings = integrity.ranks(heads, run)
        assert findings == []
        for split, scores in run.reported.splits.items():
            assert scores.total == IMAGES
            assert (ranks[f"{split}_rank"] == 0).sum() == scores.correct
            assert sum(getattr(turn, split).correct for turn in run.turns) == scores.correct
    report = build.read(heads, Selection(rule=rule))
    (section,) = report.sections
    assert section.rows[0].samples
    assert section.rows[0].accuracy.low is not None
    (change,) = compare(str(heads.directory), str(heads.directory), rule).changes
    assert change.p == 1


def test_turns_of_another_rule_that_contradict_the_record_are_found(heads):
    record, *_ = heads.load().results
    missing = [*of_record(replace(record, other_turns={}))]
    assert missing == [
        "turns by val_accuracy: expected 3, found 0",
        "turns by final: expected 3, found 0",
    ]


def test_a_record_of_one_rule_says_what_it_cannot_show(heads, tmp_path):
    record, *_ = heads.load().results
    arrays = heads.predictions(record)
    plain = {name: array for name, array in arrays.items() if name.startswith(("val", "test"))}
    plain = {name: array for name, array in plain.items() if not name.startswith("val-")}
    older = Store(tmp_path)
    saved = older.save_predictions(record.spec.key, plain, record.predictions.epochs)
    kept = replace(record, selected=record.selected[:1], predictions=saved, other_turns={})
    older.save(kept)
    assert not validate.problems(tmp_path).errors
    assert by_rule(kept, "final") is None
    assert unscored(kept) == (
        "it was scored at the epoch of the lowest validation loss alone; run it again with --force"
    )


def test_its_report_says_how_images_are_tested(store):
    report = build.read(store, Selection())
    (section,) = report.sections
    assert " on pets" in section.title
    assert section.title.endswith(", 3-fold cross-validation")
    text = document.render(report, "markdown")
    assert "3-fold cross-validation: every image tests once" in text
    assert "test split was" not in text
    drawings = list(drawing.draw(store, [section]))
    html = page.render(report, drawings)
    assert "Folds, each tested by a head that trained without it" in html
    (first, *_) = section.rows[0].results
    facts = dict(describe.of_result(first))
    assert facts["images"] == f"{IMAGES}, each of which tests once"
    assert facts["reported"].endswith(" of each fold")


def test_show_has_a_line_for_each_fold(store, run, terminal):
    terminal(80)
    record, *_ = store.load().results
    shown = run("show", record.spec.key, "--results", store.directory).out
    assert max(map(len, shown.splitlines())) <= 80
    for number, turn in enumerate(record.turns, 1):
        accuracy = f"{100 * turn.test.accuracy:.2f}"
        assert any(line.startswith(f"{number} ") and accuracy in line for line in shown.split("\n"))


def test_the_accuracy_by_l2_of_all_folds_is_kept_and_shown(solved, run, terminal):
    (record,) = solved.load(checked=True).results
    assert [value.l2 for value in record.l2_curve] == [100, 1, 0.01]
    for value in record.l2_curve:
        assert value.validation.total == IMAGES
        assert value.train.total == IMAGES // 3 * FOLDS
    # Folds may choose different ones, so that together they are at least as good as any of them.
    choices = describe.choices(record)
    assert set(choices) == {turn.l2 for turn in record.turns}
    best = max(value.validation.correct for value in record.l2_curve)
    assert best <= record.reported.validation.correct
    terminal(80)
    lines = run("show", record.spec.key, "--results", solved.directory).out.splitlines()
    for value in record.l2_curve:
        (line,) = (line for line in lines if line.startswith(f"{value.l2:.2e} "))
        assert f"{100 * value.validation.accuracy:.2f}" in line
        assert choices.get(value.l2, "") in line
    report = build.read(solved, Selection())
    (drawings,) = drawing.draw(solved, report.sections)
    (figure,) = (figure for figure in drawings.figures if figure.kind == "l2")
    assert [row["chosen"] for row in figure.records] == [
        choices.get(value.l2, "") for value in record.l2_curve
    ]
    assert not [*of_record(replace(record, l2_curve=()))], "a record from before it was kept"
    (line,) = of_record(replace(record, l2_curve=record.l2_curve[::-1]))
    assert line.startswith("l2_curve: the strongest first")


def test_heads_with_epochs_have_no_curve_of_l2(heads):
    for record in heads.load().results:
        assert record.l2_curve == ()


def test_there_is_no_model_to_export(store):
    record, *_ = store.load().results
    assert not store.model(record.spec.key).exists()
    with pytest.raises(EffbenchError, match=r"head for every fold, and no model: .* without --kf"):
        load(store, record, None, silent)


def test_every_image_has_an_answer_and_is_in_every_turn(solved):
    (record,) = solved.load().results
    arrays = solved.predictions(record, "test_index", "test_rank", "test_probability")
    assert np.array_equal(arrays["test_index"], np.arange(IMAGES))
    assert np.isfinite(arrays["test_probability"]).all()
    totals = [turn.train.total + turn.validation.total + turn.test.total for turn in record.turns]
    assert totals == [IMAGES] * FOLDS
