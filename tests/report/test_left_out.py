"""Runs that contradict their predictions or their checksum: in no table, and named beside it."""

import html
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.records import complete

from effbench.config.run_spec import digest
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.records.validate import problems

CHANGED = "changed since it was written: its sha256 is another"
COUNTED = "test: correct: 20 in the record, "


def edited(store: Store, run: RunResult) -> Path:
    """Another count of test images, as by an editor."""
    path = store.path(run)
    raw = json.loads(path.read_text())
    raw["selected"][0]["test"] |= {"correct": 20, "top5_correct": 20}
    path.write_text(json.dumps(raw))
    return path


def edited_with_care(store: Store, run: RunResult) -> Path:
    """The checksum too."""
    path = edited(store, run)
    raw = json.loads(path.read_text())
    del raw["sha256"]
    path.write_text(json.dumps(raw | {"sha256": digest(raw)}))
    return path


def edited_in_schema_1(store: Store, run: RunResult) -> Path:
    """It has no checksum."""
    path = edited(store, run)
    raw = json.loads(path.read_text()) | {"schema": 1}
    del raw["sha256"]
    path.write_text(json.dumps(raw))
    return path


def swapped(store: Store, run: RunResult) -> Path:
    """Other predictions, with as many right."""
    path = store.folder(run.spec.key) / run.predictions.file
    arrays = store.predictions(run)
    for name in ("validation_rank", "test_rank"):
        arrays[name] = arrays[name][::-1]
    np.savez(path, **arrays)
    return path


Spoil = Callable[[Store, RunResult], Path]
SPOILT = pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (edited, CHANGED),
        (edited_with_care, COUNTED),
        (edited_in_schema_1, COUNTED),
        (swapped, "not the run's predictions: sha256 "),
    ],
)


@pytest.fixture
def store(tmp_path) -> Store:
    """B0 and one seed of B1 are as they were written."""
    store = Store(tmp_path / "results")
    complete(store, variant="B0")
    complete(store, variant="B1")
    return store


@pytest.fixture
def spoilt(store) -> RunResult:
    """The second seed of B1, to be spoilt."""
    return complete(store, variant="B1", seed=1)


@SPOILT
def test_no_table_has_it_and_the_report_says_what_validate_says(spoil, why, run, store, spoilt):
    spoil(store, spoilt)
    done = run("report", "--json", "--results", store.directory)
    found = json.loads(done.out)
    assert [(row["variant"], row["seeds"]) for row in found["results"]] == [("B0", 1), ("B1", 1)]
    (left,) = [run for run in store.load().results if run.spec == replace(spoilt.spec, seed=0)]
    assert found["results"][1]["test_accuracy_mean"] == 100 * left.reported.test.accuracy
    (line,) = found["left_out"]
    assert line.startswith(f"{store.folder(spoilt.spec.key)}: {why}")
    assert (done.code, done.err) == (0, f"effbench: left out: {line}\n")
    wrong = {found.text for found in problems(store.directory).findings if not found.remark}
    assert set(line.partition(": ")[2].split("; ")) <= wrong


@pytest.mark.parametrize("style", ["markdown", "latex", "html"])
def test_every_report_for_readers_names_it(style, run, store, spoilt):
    edited(store, spoilt)
    done = run("report", f"--{style}", "--results", store.directory)
    assert done.code == 0
    before, named, after = html.unescape(done.out).partition("Left out of every table")
    assert named
    assert f"{spoilt.spec.key}: {CHANGED}" in after.replace("\\_", "_")
    assert spoilt.spec.key not in before


@SPOILT
def test_it_is_not_compared_and_the_comparison_says_so(spoil, why, run, store, spoilt, tmp_path):
    for variant in ("B0", "B1"):
        complete(Store(tmp_path / "base"), variant=variant)
    spoil(store, spoilt)
    done = run("compare", tmp_path / "base", store.directory)
    assert f"- left out: {store.directory}/runs/{spoilt.spec.key}" in done.out
    assert why in done.out.replace("\\", "")
    found = json.loads(run("compare", tmp_path / "base", store.directory, "--json").out)
    assert [change["seeds"] for change in found["changes"]] == [[1, 1], [1, 1]]
    assert len(found["left_out"]) == 1


@SPOILT
def test_where_nothing_else_is_left_there_is_no_report(spoil, why, run, tmp_path):
    store = Store(tmp_path / "results")
    spoil(store, complete(store, variant="B1"))
    done = run("report", "--results", store.directory)
    assert (done.code, done.out) == (1, "")
    assert "1 left out, the first" in done.err
    assert why in done.err
    assert done.err.endswith("run 'effbench validate'\n")
    assert why in run("compare", store.directory, store.directory).err


def test_an_unreadable_record_is_named_in_the_report_too(run, store, spoilt):
    store.path(spoilt).write_text("{")
    done = run("report", "--results", store.directory)
    assert "### Left out of every table" in done.out
    assert spoilt.spec.key in done.out


def test_whole_records_are_all_there(run, store, spoilt):
    done = run("report", "--results", store.directory)
    assert done.err == ""
    assert "Left out" not in done.out
    (row,) = [
        row
        for row in json.loads(run("report", "--json", "--results", store.directory).out)["results"]
        if row["variant"] == "B1"
    ]
    assert row["seeds"] == 2
