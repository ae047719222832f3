"""Joining results directories: what is equal, what wins, what is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.records import complete, failure, result

from effbench.config.recipes import RECIPES
from effbench.config.run_spec import RunSpec
from effbench.config.sweep_options import SweepOptions
from effbench.errors import DataError, EffbenchError, Interrupted, UsageError
from effbench.files import write_atomically
from effbench.models.weights import WeightsSource
from effbench.records import merge as merging
from effbench.records.merge import MergeCounts, Models, merge
from effbench.records.record import RunFailure, RunResult
from effbench.records.store import LOG, Store
from effbench.records.validate import problems
from effbench.sweep import scheduler
from effbench.sweep.attempt import Attempt
from effbench.sweep.resolve import Request
from effbench.sweep.targets import Target


@pytest.fixture
def stores(tmp_path) -> list[Store]:
    """A target and two sources."""
    return [Store(tmp_path / name) for name in ("results", "one", "other")]


def tree(store: Store) -> dict[str, bytes]:
    """What lies in a results directory, without locks."""
    files = store.directory.glob("runs/**/*")
    return {str(path): path.read_bytes() for path in files if path.is_file()}


def joined(*stores: Store) -> MergeCounts:
    target, *sources = stores
    return merge([source.directory for source in sources], target.directory)[0]


def failed(store: Store, log: bytes = b"", **changes: object) -> RunFailure:
    record = failure(log=LOG if log else "", **changes)
    if log:
        write_atomically(store.folder(record.spec.key) / LOG, log)
    store.save(record)
    return record


def as_schema_1(path: Path) -> None:
    raw = json.loads(path.read_bytes()) | {"schema": 1}
    del raw["sha256"]
    path.write_text(json.dumps(raw))


def changed(store: Store, record: RunResult) -> RunResult:
    """The same run with another count, saved as if it had come out so."""
    first = record.selected[0]
    test = replace(first.test, correct=first.test.correct - 1)
    other = replace(record, selected=(replace(first, test=test), *record.selected[1:]))
    store.save(other)
    return other


def test_runs_of_several_places_come_together_and_are_whole(stores):
    target, one, other = stores
    records = [complete(store, seed=seed) for seed, store in enumerate(stores)]
    records += [failed(other, b"what it printed")]
    steps = []
    outcome, _ = merge([one.directory, other.directory], target.directory, steps.append)
    assert outcome == MergeCounts(new=3, equal=0, superseded=0)
    assert {each.spec.key for each in records} == {path.name for path in target.folders()}
    assert problems(target.directory).findings == ()
    assert (target.folder(records[-1].spec.key) / LOG).read_bytes() == b"what it printed"
    assert {step.phase for step in steps} == {*(f"check {s.directory}" for s in stores), "copy"}
    assert joined(*stores) == MergeCounts(new=0, equal=3, superseded=0)


def test_equal_is_what_says_the_same_in_whatever_form(stores):
    target, one, other = stores
    for store in stores:
        path = store.path(complete(store))
    as_schema_1(path)
    pretty = one.path(one.load().results[0])
    pretty.write_text(json.dumps(json.loads(pretty.read_bytes()), indent=7, sort_keys=True))
    before = tree(target)
    assert joined(target, one, other) == MergeCounts(new=0, equal=2, superseded=0)
    assert tree(target) == before


def test_a_record_of_schema_1_gets_its_checksum(stores):
    target, one, _ = stores
    as_schema_1(one.path(complete(one)))
    assert joined(target, one) == MergeCounts(1, 0, 0)
    assert problems(target.directory).findings == ()


@pytest.mark.parametrize("among", ["target and source", "sources"])
def test_different_results_of_one_run_are_refused_and_nothing_is_written(among, stores):
    target, one, other = stores
    places = (target, one) if among == "target and source" else (one, other)
    complete(one, seed=1)
    first = complete(places[0], seed=2)
    complete(places[1], seed=2)
    changed(places[1], first)
    before = tree(target)
    right = first.selected[0].test.correct
    with pytest.raises(DataError) as caught:
        joined(*stores[: 2 if among == "target and source" else 3])
    assert str(caught.value) == (
        f"two results of one run differ: {places[0].folder(first.spec.key)} and "
        f"{places[1].folder(first.spec.key)}, selected.0.test.correct {right} and {right - 1}; "
        "delete one of them"
    )
    assert tree(target) == before


@pytest.mark.parametrize("result_first", [True, False])
def test_a_result_wins_over_a_failure(result_first, stores):
    target, one, other = stores
    record = complete(one if result_first else other)
    failed(other if result_first else one, b"what it printed", spec=record.spec)
    failed(target, b"what it printed", spec=record.spec, started="2024-12-31")
    assert joined(*stores) == MergeCounts(new=0, equal=0, superseded=2)
    assert target.read(record.spec.key) == record
    assert problems(target.directory).findings == ()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_latest_of_failures_stays(order, stores):
    for store, day in zip(stores, order, strict=True):
        failed(store, b"day %d" % day, started=f"2025-01-0{day + 1}T00:00:00+00:00")
    assert joined(*stores) == MergeCounts(new=0, equal=0, superseded=2)
    (last,) = stores[0].load().failures
    assert last.started.startswith("2025-01-03")
    assert (stores[0].folder(last.spec.key) / LOG).read_bytes() == b"day 2"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda store, record: store.path(record).write_text("{"), "EOF while parsing"),
        (
            lambda store, record: store.path(record).write_text(
                store.path(record).read_text().replace('"replicas": 1', '"replicas": 8')
            ),
            "changed since it was written",
        ),
        (
            lambda store, record: (
                store.folder(record.spec.key) / record.predictions.file
            ).write_bytes(b""),
            "not the run's predictions",
        ),
        (
            lambda store, record: (
                store.folder(record.spec.key) / record.predictions.file
            ).unlink(),
            "cannot read the predictions",
        ),
        (
            lambda store, record: store.folder(record.spec.key).rename(store.folder("other")),
            "not its folder's name",
        ),
    ],
    ids=["broken", "changed", "cut", "missing", "renamed"],
)
@pytest.mark.parametrize("place", [0, 2], ids=["target", "source"])
def test_damage_anywhere_is_refused_and_nothing_is_written(place, spoil, text, stores):
    records = [complete(store, seed=seed) for seed, store in enumerate(stores)]
    spoil(stores[place], records[place])
    before = tree(stores[0])
    with pytest.raises(DataError, match=text) as caught:
        joined(*stores)
    assert str(stores[place].directory) in str(caught.value)
    assert tree(stores[0]) == before


def test_a_directory_into_itself_is_a_usage_error(stores, monkeypatch):
    target, one, _ = stores
    complete(target)
    one.directory.symlink_to(target.directory)
    monkeypatch.chdir(target.directory.parent)
    for source in (target.directory, one.directory, Path("results")):
        with pytest.raises(UsageError, match=f"a directory is merged into another: {source}; "):
            merge([source], target.directory)


def test_a_source_without_records_is_one_line_and_nothing_is_written(stores):
    target, one, other = stores
    complete(one)
    with pytest.raises(EffbenchError, match=f"no records to merge: {other.directory}; "):
        joined(target, one, other)
    assert not target.directory.exists()


def test_an_interrupted_merge_leaves_whole_records_and_goes_on(stores, monkeypatch):
    target, one, _ = stores
    for seed in range(3):
        complete(one, seed=seed)
    replaced = []

    def interrupt(source: Path, goal: Path, real=os.replace) -> None:
        replaced.append(goal)
        if len(replaced) == 4:  # the second record; its predictions are there
            raise Interrupted
        real(source, goal)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(Interrupted):
            joined(target, one)
    assert len(target.load().results) == 1
    assert target.load().problems == ()
    assert joined(target, one) == MergeCounts(new=2, equal=1, superseded=0)
    assert problems(target.directory).findings == ()


@pytest.mark.parametrize("recipe", ["case-study", "finetune"], ids=["head", "network"])
def test_a_run_that_a_sweep_is_at_is_left_alone(recipe, stores, monkeypatch):
    """By the sweep's own locks: the seeds of a head share one, each network has its own."""
    target, one, _ = stores
    record = complete(one, recipe=replace(RECIPES[recipe], epochs=3), seed=1)
    specs = (replace(record.spec, seed=0), record.spec)
    refused = []

    def attempt(_: object, at: tuple[RunSpec, ...]) -> None:
        if record.spec in at:
            with pytest.raises(EffbenchError, match=f"at this run: {record.spec.key}; merge"):
                joined(target, one)
            refused.append(at)

    monkeypatch.setattr(Attempt, "run", attempt)
    target_device = Target("cpu", "local", None, "float32", "auto", chief=True)
    request = Request(specs, SweepOptions(), WeightsSource("auto", None, "auto"), target_device)
    scheduler.run(request, target, lambda _: None)
    assert refused == [specs if recipe == "case-study" else specs[1:]]
    assert target.folders() == []
    assert joined(target, one) == MergeCounts(1, 0, 0)


def whole(store: Store, **changes: object) -> RunResult:
    """A finished run with all that a worker keeps of it."""
    record = complete(store, **changes)
    store.save_model(record.spec.key, [np.full(3, record.spec.seed, np.float32)])
    store.save_history(record.spec.key, record.history)
    return record


def everything(store: Store) -> dict[str, bytes]:
    """What lies in a results directory, models included and locks not, by relative path."""
    root = store.directory
    paths = [path for name in ("runs", "models") for path in (root / name).rglob("*")]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths if path.is_file()}


def test_models_and_learning_curves_come_along(stores):
    target, one, _ = stores
    whole(one)
    failed(one, b"what it printed")
    one.save_history(failure().spec.key, result().history)  # of the epochs before it failed
    assert merge([one.directory], target.directory)[1] == Models(copied=1, missing=0)
    assert everything(target) == everything(one)
    assert len(everything(target)) == 7
    assert problems(target.directory).findings == ()


def test_what_an_equal_record_lacks_is_brought_by_whoever_has_it(stores):
    target, one, other = stores
    for store in stores:
        record = complete(store)
        complete(store, seed=1)
    whole(other)
    assert merge([one.directory], target.directory) == (MergeCounts(0, 2, 0), Models(0, 2))
    sources = [one.directory, other.directory]
    assert merge(sources, target.directory) == (MergeCounts(0, 4, 0), Models(1, 1))
    assert everything(target) == everything(other)
    target.save_model(record.spec.key, [np.zeros(1)])
    before = everything(target)
    assert merge(sources, target.directory)[1] == Models(0, 1)
    assert everything(target) == before, "a model that is there is kept"


def test_of_two_results_only_the_one_that_stays_brings_its_files(stores):
    """A failure's curve is not put beside the result of the same run."""
    target, one, _ = stores
    record = complete(target)
    failed(one, spec=record.spec)
    one.save_history(record.spec.key, record.history)
    before = everything(target)
    assert merge([one.directory], target.directory) == (MergeCounts(0, 0, 1), Models(0, 0))
    assert everything(target) == before


def test_what_a_sweep_has_finished_meanwhile_is_kept(stores, monkeypatch):
    target, one, _ = stores
    theirs = complete(one)

    def meanwhile(*arguments: object, real=merging._bring) -> None:
        complete(target)
        changed(target, theirs)
        real(*arguments)

    monkeypatch.setattr(merging, "_bring", meanwhile)
    with pytest.raises(DataError, match="changed meanwhile"):
        joined(target, one)
    assert target.load().results[0].selected[0] != theirs.selected[0]
