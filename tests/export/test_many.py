"""Runs that a flag names are exported one after the other, whatever becomes of one of them."""

import errno
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.commandline import one_line
from support.exports import exportable, here, of_digits
from support.records import put, result, scores, spec

from effbench.cli import export
from effbench.config.recipes import RECIPES
from effbench.data import datasets
from effbench.errors import DiskError, EffbenchError
from effbench.export import load, writer
from effbench.records.record import RunResult
from effbench.records.scores import Scores
from effbench.records.store import Store

DATASET = datasets.load("digits").limited(100)
NOTHING = "no model"


def finetuned(variant: str, validation: Scores, **changes: object) -> RunResult:
    """A run with the same validation scores by every rule."""
    record = result(spec=spec(variant=variant, recipe=RECIPES["finetune"], **changes))
    selected = tuple(replace(row, validation=validation) for row in record.selected)
    return replace(record, selected=selected)


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """Runs of B0, B1 and S on CIFAR-10, of which B1's best on validation."""
    store = exportable(tmp_path, monkeypatch, datasets.NUMBERS)
    put(store, finetuned("B1", scores(4600)))
    put(store, finetuned("S", scores(4400)))
    for record in store.load().results:
        store.save_model(record.spec.key, [np.zeros(1)])
    return store


@pytest.fixture
def digits(store) -> str:
    """The key of one more run, on other data."""
    labels = DATASET.test.labels.astype(int)
    record = of_digits(store, DATASET.test.images, labels, DATASET.sha256)
    store.save_model(record.spec.key, [np.zeros(1)])
    return record.spec.key


def test_one_that_cannot_be_exported_does_not_end_it(run, store, monkeypatch):
    said, begun = [], []

    def loaded(_: Store, record: SimpleNamespace, *__: object) -> object:
        begun.append(len(said))
        if record.spec.variant == "B1":
            raise EffbenchError("the model was not kept", NOTHING, "run it again")
        return network

    network = load.load()
    monkeypatch.setattr(load, "load", loaded)
    monkeypatch.setattr(export, "say", said.append)
    done = run("export", "--all", "--results", store.directory, "--output", "out")
    keys = {record.spec.variant: record.spec.key for record in store.load().results}
    assert done.code == 1
    assert {path.name for path in Path("out").glob("*.keras")} == {
        f"{keys[name]}.keras" for name in ("B0", "S")
    }
    assert begun == [0, 1, 1]  # a line for each model as it is written
    first, second = done.err.splitlines()
    assert first == "effbench: 1 of 3 models could not be exported:"
    assert second == f"effbench: {keys['B1']}: the model was not kept: {NOTHING}; run it again"


def test_what_is_at_work_of_how_many_is_shown(run, store, monkeypatch):
    labels = []
    monkeypatch.setattr(export.Display, "step", lambda _, label, step: labels.append(label))
    assert run("export", "--all", "--results", store.directory, "--output", "out").code == 0
    keys = [record.spec.key for record in store.load().results]
    assert [*dict.fromkeys(labels)] == [
        f"{number} of 3 models, {key}:" for number, key in enumerate(keys, 1)
    ]
    labels.clear()
    assert run("export", keys[0], "--results", store.directory).code == 0
    assert {*labels} == {"export"}


def test_a_full_disk_ends_it(run, store, monkeypatch):
    def full(*_: object) -> None:
        raise DiskError("cannot write", errno.errorcode[errno.ENOSPC], "free some space")

    monkeypatch.setattr(writer, "export", full)
    one_line(run("export", "--all", "--results", store.directory), 1, "cannot write: ENOSPC")


def test_the_best_is_one_of_each_data_set(run, store, digits):
    done = run("export", "--best", "--results", store.directory, "--output", "out")
    assert done.code == 0
    best = next(run.spec.key for run in store.load().results if run.spec.variant == "B1")
    names = sorted(path.name for path in Path("out").glob("*.keras"))
    assert names == sorted([f"{best}.keras", f"{digits}.keras"])
    several = run("export", "--best", "--results", store.directory, "--output", "x.keras")
    one_line(several, 2, "--output x.keras is of one run: ")
    hub = run("export", "--best", "--results", store.directory, "--to-hub-folder", "hub")
    one_line(hub, 2, "--to-hub-folder hub takes one run: ")


def test_accuracies_on_fewer_images_are_not_compared_with_those_on_more(run, store):
    put(store, finetuned("T", scores(25, 25, 25), limit=100))
    (line,) = run("export", "--best", "--results", store.directory).out.splitlines()
    assert line.startswith("B1-")


def test_a_model_that_is_there_is_counted_all_the_same(run, store, digits):
    command = ("export", "--best", "--results", store.directory, "--output", "x.keras")
    command += ("--data", "digits")
    data = datasets.load("digits")
    assert data.sha256 == DATASET.sha256
    assert run("export", digits, "--results", store.directory, "--output", "x.keras").code == 0
    assert here() == ["x.keras", "x.keras.README.md", "x.keras.json"]
    model = Path("x.keras").read_bytes()
    done = run(*command)
    assert (done.code, done.err) == (0, "")
    assert "x.keras: is there already, and the same; test " in done.out
    assert "another class than its run in 0 images" in done.out
    beside = Path("x.keras.evaluation.json")
    before = beside.stat().st_mtime_ns
    assert "test accuracy of this file" in Path("x.keras.README.md").read_text()
    assert run(*command).out == done.out
    assert (beside.stat().st_mtime_ns, Path("x.keras").read_bytes()) == (before, model)
