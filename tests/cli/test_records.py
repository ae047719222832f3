"""What show, validate and merge print, and how they end."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest
import typer
from support.records import complete, failure

from effbench.cli import records
from effbench.cli.show import show
from effbench.config.recipes import RECIPES
from effbench.errors import EffbenchError, UsageError
from effbench.records.store import Store

app = typer.Typer()
for command in (show, records.validate, records.merge):
    app.command()(command)


@pytest.fixture
def run(capsys):
    """Runs a command; its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app([str(each) for each in arguments], standalone_mode=False) or 0
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def store(tmp_path) -> Store:
    """In a folder whose name could pass for markup."""
    return Store(tmp_path / "a[/red]b")


def test_show_prints_the_run_its_record_or_only_its_command(run, store):
    record = complete(store)
    show = ("show", record.spec.key[-12:], "--results", store.directory)
    code, text, error = run(*show)
    assert (code, error) == (0, "")
    assert f"{store.folder(record.spec.key)}\n" in text
    assert record.predictions.file in text
    assert run(*show, "--json") == (0, store.path(record).read_text(), "")
    code, text, error = run(*show, "--rerun")
    assert code == 0
    assert text.count("\n") == 1
    assert shlex.split(text)[:3] == ["effbench", "sweep", "--cpu"]
    assert all(line.startswith("effbench: ") for line in error.splitlines())
    with pytest.raises(UsageError, match="--rerun --json"):
        run(*show, "--rerun", "--json")
    store.save(failure())
    code, text, _ = run("show", failure().spec.key, "--results", store.directory, "--json")
    assert json.loads(text)["kind"] == "out-of-memory"


def test_show_marks_a_run_by_the_recipe_of_its_own_version(run, store):
    recipe = replace(RECIPES["case-study"], epochs=3, batch_size=64)
    kept = complete(store, recipe=recipe, limit=None)
    show = ("show", kept.spec.key, "--results", store.directory)
    assert "marks          limited (3 epochs), changed recipe (batch_size 64)\n" in run(*show)[1]
    store.save(replace(kept, standard=recipe))
    assert "marks          none\n" in run(*show)[1]
    lost = failure(spec=replace(failure().spec, recipe=recipe), standard=recipe)
    store.save(lost)
    assert "marks          none\n" in run("show", lost.spec.key, *show[2:])[1]


def test_validate_prints_each_problem_and_counts_them(run, store):
    for seed in range(3):
        path = store.path(complete(store, seed=seed))
        raw = json.loads(path.read_bytes()) | {"schema": 1}
        path.write_text(json.dumps(raw))
    code, text, error = run("validate", store.directory)
    assert (code, text.splitlines()[1:]) == (0, ["3 records, 0 problems"])
    assert text.startswith(f"note  {store.directory}/runs/")
    assert "schema 1: no checksum (and 2 more)" in text
    assert "check 3/3 records" in error
    raw["images"]["train"] = 79
    path.write_text(json.dumps(raw))
    code, text, _ = run("validate", store.directory)
    assert code == 1
    lines = text.splitlines()
    assert f"wrong {path}: images.train: expected 80, found 79" in lines
    count = len(lines) - 2
    assert lines[-1] == f"3 records, {count} problem{'s' * (count != 1)}"


def test_merge_says_how_many_were_what(run, store, tmp_path):
    record = complete(store)
    target = tmp_path / "target"
    for expected, models in (
        ("1 new, 0 equal", "0 copied, 1 not there"),
        ("0 new, 1 equal", "1 copied, 0 not there"),
        ("0 new, 1 equal", "0 copied, 0 not there"),
    ):
        code, text, _ = run("merge", store.directory, "--results", target)
        assert code == 0
        assert text == f"{expected}, 0 superseded in {target}\nmodels: {models}\n"
        store.save_model(record.spec.key, [np.zeros(3)])
    with pytest.raises(EffbenchError, match="no records to merge"):
        run("merge", tmp_path / "nothing", "--results", target)
