"""What validate finds: each kind of damage, and nothing in what is whole."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.records import complete, failure, spec

from effbench.config.run_spec import RunSpec
from effbench.data.datasets import DATASETS
from effbench.errors import EffbenchError
from effbench.files import write_atomically
from effbench.records.record import SCHEMA
from effbench.records.store import LOG, Store
from effbench.records.validate import problems


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def errors(store: Store) -> list[str]:
    return [
        f"{row.path}: {row.text}" for row in problems(store.directory).findings if not row.remark
    ]


def remarks(store: Store) -> list[str]:
    return [f"{row.path}: {row.text}" for row in problems(store.directory).findings if row.remark]


def one_error(store: Store, where: Path, text: str) -> None:
    (line,) = errors(store)
    assert line.startswith(f"{where}: ")
    assert text in line
    assert "\n" not in line


def change(path: Path, where: str, value: object) -> None:
    """Puts `value` into a record of schema 1, which has no checksum."""
    raw = json.loads(path.read_bytes()) | {"schema": 1}
    raw.pop("sha256", None)
    put_at(raw, where.split("."), value)
    path.write_text(json.dumps(raw))


def put_at(raw: object, where: list[str], value: object) -> None:
    for name in where[:-1]:
        raw = raw[int(name) if isinstance(raw, list) else name]
    raw[int(where[-1]) if isinstance(raw, list) else where[-1]] = value


def leaves(raw: object, where: tuple[str, ...] = ()) -> Iterator[tuple[list[str], object]]:
    if isinstance(raw, dict | list):
        for name, inner in raw.items() if isinstance(raw, dict) else enumerate(raw):
            yield from leaves(inner, (*where, str(name)))
    else:
        yield list(where), raw


def test_the_records_of_this_repository_are_whole():
    store = Store(Path(__file__).parents[2] / "results")
    found = problems(store.directory)
    assert errors(store) == []
    assert found.records == len(store.load().results) + len(store.load().failures) > 0


def test_whole_records_have_no_problem_and_every_one_is_counted(store):
    for changes in ({"seed": 0}, {"seed": 1}, {"variant": "T"}, {"data": "digits"}):
        complete(store, **changes)
    store.save(failure())
    steps = []
    found = problems(store.directory, steps.append)
    assert found.findings == ()
    assert (found.records, found.errors) == (5, 0)
    assert [(step.done, step.total) for step in steps] == [(done, 5) for done in range(6)]


@pytest.mark.parametrize("rule", ["val_loss", "val_accuracy", "final"])
def test_the_predictions_are_those_of_the_recipes_own_selection(rule, store):
    recipe = replace(spec().recipe, selection=rule, epochs=12)
    records = [complete(store, recipe=recipe, seed=seed) for seed in range(4)]
    assert len({row.epoch for record in records for row in record.selected}) > 3
    assert errors(store) == []


def test_nothing_to_validate_is_one_line(store):
    for _ in range(2):
        with pytest.raises(EffbenchError, match=f"no records to validate: {store.directory}; "):
            problems(store.directory)
        (store.directory / "runs" / "empty").mkdir(parents=True, exist_ok=True)


def test_any_change_anywhere_in_a_record_is_found(store):
    path = store.path(complete(store))
    whole = path.read_text()
    for where, value in leaves(json.loads(whole)):
        raw = json.loads(whole)
        put_at(raw, where, f"{value}x" if isinstance(value, str) else (value or 0) + 1)
        path.write_text(json.dumps(raw))
        assert errors(store), where
    path.write_text(whole)
    assert errors(store) == []


SEED = 3
ALL_RIGHT = {"correct": 20, "top5_correct": 20, "total": 20, "loss": 9.5}


@pytest.mark.parametrize(
    ("where", "value", "text"),
    [
        ("images.train", 79, "images.train: expected 80, found 79"),
        ("images.test", 19, "selected.final.test.total: expected 19, found 20"),
        ("images.validation", 21, "history.2.validation.total: expected 21, found 20"),
        ("history.1.train.total", 81, "history.2.train.total: expected 80, found 81"),
        ("history.1.validation.total", 21, "history.2.validation.total: expected 20, found 21"),
        ("history.2.epoch", 4, "history: epoch after 2: expected 3, found 4"),
        ("history.0.validation.loss", 0.01, "selected.val_loss.epoch: expected 1"),
        ("history.0.validation", ALL_RIGHT, "selected.val_accuracy.epoch: expected 1"),
        ("selected.2.epoch", 2, "selected.final.epoch: expected 3, found 2"),
        ("selected.2.validation.correct", 1, "selected.final.validation.correct: expected"),
        ("selected.2.validation.loss", 9.5, "selected.final.validation.loss: expected"),
        ("selected.2.test.total", 30, "selected.final.test.total: expected 20, found 30"),
        ("selected.1.rule", "final", "expected val_loss, val_accuracy, final, found val_loss, fin"),
        ("selected.0.test.correct", 1, "test: correct: 1 in the record, "),
        ("selected.0.test.top5_correct", 20, "test: top5_correct: 20 in the record, "),
        ("predictions.file", "../x.npz", "predictions.file: expected predictions-"),
        ("spec.seed", 7, "the record's key is "),
        ("spec.variant", "B9", "the record's key is "),
        ("schema", SCHEMA + 1, "written by a newer effbench"),
        ("schema", None, "no effbench record (schema: None)"),
    ],
)
def test_a_record_that_contradicts_itself_is_found_without_a_checksum(where, value, text, store):
    record = complete(store, seed=SEED)
    # The first epoch can come to be chosen, and counts of test images can grow.
    assert all(row.epoch > 1 and row.test.top5_correct < 20 for row in record.selected)
    folder = store.folder(record.spec.key)
    change(folder / "record.json", where, value)
    found = errors(store)
    assert any(text in line for line in found), found
    assert all(line.startswith(str(folder)) for line in found)


def known(**changes: object) -> RunSpec:
    recipe = replace(spec().recipe, epochs=3, name=str(changes.pop("recipe", "case-study")))
    return spec(recipe=recipe, limit=80, **changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"recipe": "mine"}, "recipe: expected one of linear-probe, case-study, case-study-2021, "),
        ({"data": "mnist"}, f"data: expected one of {', '.join(DATASETS)}, found mnist"),
        (
            {"precision": "float8"},
            "precision: expected one of float32, tensorfloat32, mixed_bfloat16, found fl",
        ),
        ({"weights": replace(spec().weights, name="jft")}, "weights: expected one of imagenet"),
    ],
)
def test_a_spec_of_unknown_names_is_found(changes, text, store):
    chosen = known(**changes)
    complete(store, **vars(chosen))
    one_error(store, store.folder(chosen.key) / "record.json", text)


def test_a_record_under_another_key_is_found(store):
    key = complete(store).spec.key
    copy = store.folder("B0-copy")
    shutil.copytree(store.folder(key), copy)
    one_error(store, copy, f"the record's key is {key}, not its folder's name")
    assert problems(store.directory).records == 2


def test_missing_cut_and_swapped_predictions_are_found(store):
    one, other = complete(store), complete(store, seed=1)
    path = store.folder(one.spec.key) / one.predictions.file
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    one_error(store, path, "not the run's predictions: sha256 ")
    path.write_bytes((store.folder(other.spec.key) / other.predictions.file).read_bytes())
    one_error(store, path, "not the run's predictions: sha256 ")
    path.unlink()
    one_error(store, path, "cannot read the predictions: No such file or directory")


def test_predictions_of_another_run_are_found_by_what_is_in_them(store):
    """Even if the record names them."""
    one, other = complete(store), complete(store, seed=1)
    saved = store.save_predictions(one.spec.key, store.predictions(other))
    store.save(replace(one, predictions=saved))
    assert "correct" in "".join(errors(store))


@pytest.mark.parametrize(
    ("name", "replaced", "text"),
    [
        ("test_label", None, "test_label: expected uint8 (20,), found nothing"),
        ("test_label", lambda old: old.astype(np.int64), "found int64 (20,)"),
        ("test_index", lambda old: old[:-1], "test_index: expected int32 (20,), found int32 (19,)"),
        ("test_probability", lambda old: old[:, :9], "expected float16 (20, 10), found float16"),
        ("test_label", lambda old: old + 1, "label is not 0 to 9: 2 of 20 images, the first at 9"),
        ("test_predicted", lambda old: old + 90, "predicted is not 0 to 9: 20 of 20 images"),
        ("validation_index", lambda old: old * 0, "index is not unique: 19 of 20 images, the fir"),
        ("test_rank", lambda old: 0 * old, "rank is not 0 exactly where predicted is label: "),
        ("test_rank", lambda old: (old > 0) * np.uint8(9), "rank does not follow from probability"),
        ("test_rank", lambda old: old * 5, "test: top5_correct: "),
        ("test_predicted", lambda old: (old + 1) % 10, "predicted is not the most probable: 20 of"),
        ("test_probability", lambda old: old / 2, "probability does not sum to 1: 20 of 20"),
        ("test_probability", lambda old: old * np.float16("nan"), "probability does not sum to 1"),
    ],
)
def test_predictions_that_contradict_themselves_are_found(name, replaced, text, store):
    record = complete(store)
    arrays = store.predictions(record)
    old = arrays.pop(name)
    if replaced is not None:
        arrays[name] = replaced(old)
    saved = store.save_predictions(record.spec.key, arrays, record.predictions.epochs)
    store.save(replace(record, predictions=saved))
    found = errors(store)
    assert any(text in line for line in found), found
    assert all(str(store.folder(record.spec.key)) in line for line in found)


def test_ties_of_rounded_probabilities_are_no_problem(store):
    """In float32 one came before the other; in float16 they are equal."""
    record = complete(store)
    arrays = store.predictions(record)
    for split in ("validation", "test"):
        arrays[f"{split}_probability"] = np.full((20, 10), 0.1, np.float16)
    saved = store.save_predictions(record.spec.key, arrays, record.predictions.epochs)
    store.save(replace(record, predictions=saved))
    assert errors(store) == []


def test_runs_on_the_same_data_have_the_same_images(store):
    one, other = sorted((complete(store, seed=seed) for seed in (0, 1)), key=lambda r: r.spec.key)
    arrays = store.predictions(other)
    arrays["test_index"] = arrays["test_index"][::-1]
    saved = store.save_predictions(other.spec.key, arrays, other.predictions.epochs)
    store.save(replace(other, predictions=saved))
    named = store.folder(one.spec.key) / one.predictions.file
    one_error(store, store.folder(other.spec.key) / saved.file, f"than in {named}")


def test_what_lies_about_is_a_remark(store):
    record = complete(store)
    folder = store.folder(record.spec.key)
    (folder / ".record.json.123.tmp").write_text("{")
    (folder / "failure.json").write_text("{")
    (store.directory / "runs" / "notes.txt").write_text("mine")
    (store.directory / "runs" / "empty").mkdir()
    store.save(failure(log=LOG))
    assert sorted(remarks(store)) == sorted(
        (
            f"{store.directory}/runs/notes.txt: no folder of a run",
            f"{folder}/.record.json.123.tmp: an interrupted write",
            f"{folder}/failure.json: unknown",
            f"{store.folder(failure().spec.key) / LOG}: the failed worker's output is not here",
            f"{store.directory}/runs/empty: no record; run it again or delete it",
        )
    )
    assert errors(store) == []
    change(folder / "record.json", "schema", 1)
    assert f"{folder}/record.json: schema 1: no checksum" in remarks(store)


def test_predictions_without_a_record_are_an_error(store):
    record = complete(store)
    store.path(record).unlink()
    where = store.folder(record.spec.key)
    one_error(store, where, f"no record beside {record.predictions.file}; run it again")


def test_a_failure_is_checked_too(store):
    record = failure(log=LOG)
    store.save(record)
    write_atomically(store.folder(record.spec.key) / LOG, b"what it printed")
    assert problems(store.directory).findings == ()
    path = store.path(record)
    raw = json.loads(path.read_bytes())
    path.write_text(json.dumps(raw | {"message": "all is well"}))
    one_error(store, path, "changed since it was written")
    change(path, "log", "/etc/passwd")
    one_error(store, path, "log: expected worker.log, found /etc/passwd")
