"""A run as another rule reports it, from the predictions of every rule that its record keeps."""

from dataclasses import replace

import numpy as np
import pytest
from support.records import complete, spec

from effbench.config.ways_to_train import WAYS
from effbench.records import integrity
from effbench.records.by_rule import by_rule
from effbench.records.record import RunResult
from effbench.records.scores import SELECTIONS
from effbench.records.store import Store
from effbench.records.validate import problems

RECIPE = replace(spec().recipe, epochs=12)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def errors(store: Store) -> list[str]:
    return [finding.text for finding in problems(store.directory).findings]


def of_three_epochs(store: Store, **changes: object) -> RunResult:
    """A run whose rules choose three epochs."""
    record = complete(store, recipe=RECIPE, seed=1, **changes)
    assert len({row.epoch for row in record.selected}) == 3
    return record


def of_two_epochs(store: Store, **changes: object) -> RunResult:
    """A run of which two rules choose one epoch, and the third the last."""
    record = complete(store, recipe=RECIPE, seed=0, **changes)
    assert len({row.epoch for row in record.selected}) == 2
    assert record.selected[0].epoch == record.selected[1].epoch
    return record


@pytest.mark.parametrize("rule", SELECTIONS)
def test_the_predictions_are_those_of_the_rule(rule, store):
    record = of_three_epochs(store)
    (back,) = store.load(checked=True).results
    run = by_rule(back, rule)
    row = next(row for row in record.selected if row.rule == rule)
    assert (run.rule, run.reported, run.spec.key) == (rule, row, record.spec.key)
    ranks, findings = integrity.ranks(store, run)
    assert findings == []
    assert run.has_predictions
    for split, scores in row.splits.items():
        assert (ranks[f"{split}_rank"] == 0).sum() == scores.correct
    arrays = store.predictions(run, "test_label", "test_predicted")
    assert (arrays["test_label"] == arrays["test_predicted"]).sum() == row.test.correct
    other = {} if rule == "val_loss" else {"another rule": rule}
    assert run.marks == record.marks | other


def test_an_epoch_is_stored_once_whichever_rules_choose_it(store):
    record = of_two_epochs(store)
    assert record.predictions.epochs == tuple(sorted({row.epoch for row in record.selected}))
    names = [*store.predictions(record)]
    assert len(names) == 2 * (2 + 2 * 3)  # splits; index and label, and three of each epoch
    assert {name.partition("_")[0] for name in names} == {"validation", "test", "epoch12"}
    assert errors(store) == []


def test_a_record_of_one_rule_has_counts_and_what_is_the_same_epoch(store):
    record = of_two_epochs(store, one_rule=True)
    assert errors(store) == []
    same, last = (by_rule(record, rule) for rule in ("val_accuracy", "final"))
    assert (same.has_predictions, last.has_predictions) == (True, False)
    assert integrity.ranks(store, same)[0] is not None
    assert integrity.ranks(store, last) == (None, [])
    assert last.reported == record.selected[2]


def test_a_run_without_scores_by_the_rule_is_none(store):
    record = of_two_epochs(store, one_rule=True)
    alone = replace(record, selected=record.selected[:1])
    store.save(alone)
    assert errors(store) == []  # as whole networks once were
    assert by_rule(alone, "final") is None
    assert by_rule(alone, "val_loss") is alone


def test_a_run_without_epochs_stays_as_it_is(store, monkeypatch):
    record = of_two_epochs(store)
    monkeypatch.setitem(WAYS, "head", replace(WAYS["head"], every_rule=False))
    assert by_rule(record, "final") is record


@pytest.mark.parametrize(
    ("name", "replaced", "text"),
    [
        ("test_rank", None, "epoch 12: test_rank: expected uint8 (20,), found nothing"),
        ("test_rank", lambda old: old * 0, "epoch 12: test: rank is not 0 exactly where"),
        ("test_probability", lambda old: old / 2, "epoch 12: test: probability does not sum to 1"),
        ("validation_rank", lambda old: old * 5, "epoch 12: validation: top5_correct: "),
    ],
)
def test_damage_to_the_predictions_of_another_epoch_is_found(name, replaced, text, store):
    record = of_three_epochs(store)
    arrays = store.predictions(record)
    old = arrays.pop(f"epoch12_{name}")
    if replaced is not None:
        arrays[f"epoch12_{name}"] = replaced(old)
    saved = store.save_predictions(record.spec.key, arrays, record.predictions.epochs)
    store.save(replace(record, predictions=saved))
    assert any(line.startswith(text) for line in errors(store)), errors(store)


def test_epochs_that_are_not_those_of_the_rules_are_found(store):
    record = of_three_epochs(store)
    kept = replace(record.predictions, epochs=record.predictions.epochs[:2])
    store.save(replace(record, predictions=kept))
    expected = ", ".join(map(str, record.predictions.epochs))
    assert f"predictions.epochs: expected ({expected}), found {kept.epochs}" in errors(store)
    assert any("arrays of epoch12, of which the record has no scores" in x for x in errors(store))


def test_rules_of_one_epoch_have_the_same_counts(store):
    record = of_two_epochs(store)
    first, second, last = record.selected
    other = replace(second, test=replace(second.test, correct=0))
    store.save(replace(record, selected=(first, other, last)))
    expected = f"selected.val_accuracy.test.correct: expected {first.test.correct}, found 0"
    assert expected in errors(store)


def test_others_of_the_file_are_read_by_their_names(store):
    record = of_three_epochs(store)
    run = by_rule(record, "final")
    arrays = store.predictions(record)
    some = store.predictions(run, "test_probability", "test_index")
    np.testing.assert_array_equal(some["test_probability"], arrays["epoch12_test_probability"])
    np.testing.assert_array_equal(some["test_index"], arrays["test_index"])
