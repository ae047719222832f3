"""The command line in this process; whole sweeps are in test_sweep.py."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.commandline import Done, one_line
from support.options import sweep_options
from support.records import failure, put, result

import effbench
from effbench.cli.app import COMMANDS, application
from effbench.cli.interruption import NOTHING
from effbench.cli.options import PrecisionName, precision_name
from effbench.config.variants import VARIANTS
from effbench.hardware import machine, tpu
from effbench.records.store import Store
from effbench.sweep import scheduler
from effbench.sweep.resolve import resolve

SMALL = [
    *("sweep", "--variants", "B0", "--weights", "none", "--data", "digits", "--cpu"),
    *("--recipe", "case-study"),
]


@pytest.fixture
def no_accelerators(monkeypatch):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    monkeypatch.setattr(machine, "has_tpu", lambda: False)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--variants", "B0,B7"], 2, "unknown variant: B7; choose from B0, B1"),
        (["--variants", ""], 2, "unknown variant: an empty list"),
        (["--recipe", "best"], 2, "unknown recipe: best; choose from linear-probe"),
        (["--weights", "imagenet1k"], 2, "unknown weights: imagenet1k; choose auto, imagenet"),
        (["--data", "mnist"], 2, "unknown dataset: mnist; choose from cifar10"),
        (["--variants", "T", "--weights", "imagenet21k"], 2, "it has imagenet; choose"),
        (["--variants", "XL", "--weights", "imagenet"], 2, "XL has no such release"),
        (["--limit", "3"], 2, "greater than or equal to 10"),
        (["--limit", "-5"], 2, "greater than or equal to 10"),
        (["--limit", "1258"], 2, "--limit takes 10 (an image of each class)"),
        (["--gpu"], 2, "devices exclude one another: --cpu --gpu;"),
        (["--tpu-name", "x"], 2, "--tpu-name goes with --tpu: --tpu-name x; add --tpu"),
        (["--replicas", "3", "--batch-size", "128"], 2, "divides by the 3 replicas: 128; give"),
        (["--replicas", "65"], 2, "--replicas"),
        (["--weights", "x.h5", "--variants", "B0,T"], 2, "a file of weights fits one variant"),
        (["--weights", "x.h5"], 1, "cannot read the weights: "),
        (["--data", "cifar10", "--data-dir", "nowhere"], 2, "path 'nowhere' does not exist"),
        (["--seeds", "a,b"], 2, "seeds are whole numbers from 0 on: 'a'; write e.g. 0,1,2 or 0-4"),
        (["--seeds", "0,0"], 2, "a seed is there twice: 0 in 0,0; name each seed once"),
        (["--seeds", "-1"], 2, "seeds are whole numbers from 0 on: '-1'"),
        (["--results", "a file"], 2, "dir 'a file' is a file"),
        (["--results", "a file", "--dry-run"], 2, "dir 'a file' is a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line(arguments, code, text, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a file").write_text("mine")
    one_line(run(*SMALL, *arguments), code, text)
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.mark.parametrize("flag", ["--gpu", "--tpu"])
def test_a_device_that_is_not_here_is_one_line(flag, run, no_accelerators, tmp_path):
    arguments = [each for each in SMALL if each != "--cpu"]
    one_line(run(*arguments, flag, "--results", tmp_path / "r"), 1, f"effbench: {flag} needs a")
    assert not (tmp_path / "r").exists()


def test_tpu_and_gpu_exclude_one_another(run):
    arguments = [each for each in SMALL if each != "--cpu"]
    one_line(run(*arguments, "--tpu", "--gpu"), 2, "devices exclude one another: --gpu --tpu;")


def test_a_named_tpu_needs_the_tpu_build(run, no_accelerators, tmp_path, monkeypatch):
    monkeypatch.setattr(tpu, "build", lambda: False)
    arguments = [each for each in SMALL if each != "--cpu"]
    done = run(*arguments, "--tpu", "--tpu-name", "mine", "--results", tmp_path / "r")
    one_line(done, 1, "TensorFlow without TPU support; install the tpu set: make setup ACCEL=tpu")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ([*SMALL, "--batch-size", "0"], "--batch-size"),
        ([*SMALL, "--epochs", "0"], "--epochs"),
        ([*SMALL, "--epochs", "many"], "--epochs"),
        ([*SMALL, "--image-size", "8"], "--image-size"),
        ([*SMALL, "--start-step", "-1"], "--start-step"),
        ([*SMALL, "--precision", "float16"], "--precision"),
        ([*SMALL, "--no-such-option"], "--no-such-option"),
        (["trian"], "trian"),
        (["cache", "burn"], "burn"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else None,
)
def test_a_value_of_the_wrong_kind_is_a_usage_error(arguments, option, run):
    done = run(*arguments)
    one_line(done, 2, option)


def test_bfloat16_is_another_word_for_what_keras_calls_it():
    assert precision_name("bfloat16") is precision_name("mixed_bfloat16")
    assert precision_name("auto") is PrecisionName.auto


def test_version_and_help(run):
    assert run("--version") == Done(0, f"{effbench.__version__}\n", "")
    done = run("--help")
    assert (done.code, done.err) == (0, "")
    for command in ("variants", "sweep", "report", "fetch", "doctor", "cache", "bench"):
        assert command in done.out


def test_variants_as_a_table_and_as_json(run):
    table = run("variants")
    assert (table.code, table.err) == (0, "")
    rows = json.loads(run("variants", "--json").out)
    assert [row["name"] for row in rows] == list(VARIANTS)
    for row in rows:
        variant = VARIANTS[row["name"]]
        assert (row["image_size"], row["parameters"]) == (variant.image_size, variant.parameters)
        assert {each["name"]: each["md5"] for each in row["releases"]} == {
            name: release.md5 for name, release in variant.releases.items()
        }
        assert f"{variant.parameters:,}" in table.out
        assert all(each["md5"] in table.out for each in row["releases"])


def test_dry_run_lists_the_keys_and_writes_nothing(run, tmp_path):
    results = tmp_path / "results"
    command = [*SMALL, "--seeds", "0,1,2", "--limit", "20", "--results", results, "--dry-run"]
    first = run(*command)
    assert (first.code, first.err) == (0, "")
    runs, _, forecast = first.out.partition("\n\n")
    states = dict(line.split("\t")[::-1] for line in runs.splitlines())
    assert list(states.values()) == ["run"] * 3
    assert all(key.startswith("B0-none-224-case-study-digits-limit20-s") for key in states)
    assert forecast.splitlines()[-1].split() == ["all", "3", "unknown"]
    assert list(tmp_path.iterdir()) == []


def test_dry_run_says_what_is_finished_and_what_failed(run, tmp_path):
    command = [*SMALL, "--seeds", "0,1,2", "--results", tmp_path, "--dry-run"]
    options = sweep_options(
        variants="B0", weights="none", data="digits", device="cpu", seeds="0,1,2"
    )
    done, failed, _ = resolve(options).specs
    put(Store(tmp_path), result(spec=done))
    Store(tmp_path).save(failure(spec=failed))
    before = sorted(tmp_path.rglob("*"))

    def states(*more: str) -> list[str]:
        runs, *_ = run(*command, *more).out.partition("\n\n")
        return [line.split("\t")[0] for line in runs.splitlines()]

    assert states() == ["finished", "failed before", "run"]
    assert states("--retry-failed") == ["finished", "run", "run"]
    assert states("--force") == ["run", "run", "run"]
    assert sorted(tmp_path.rglob("*")) == before


def test_report_of_nothing_is_one_line(run, tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        one_line(run("report", "--results", place), 1, f"no runs to report: {place};")


@pytest.mark.parametrize("name", ["a[red]b", "a[/x]b"])
def test_brackets_in_the_names_of_folders_are_no_markup(name, run, tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / name))
    (tmp_path / name / "features" / "B0").mkdir(parents=True)
    listed = run("cache", "list")
    assert listed.code == 0
    assert str(tmp_path / name / "features" / "B0") in listed.out
    assert name in run("cache", "clear").out.replace("\n", "")
    monkeypatch.setattr(scheduler, "run", lambda *_: scheduler.SweepCounts(1, 0, 0, 0))
    done = run(*SMALL, "--results", tmp_path / name)
    assert done.code == 0
    assert str(tmp_path / name) in done.out


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (2, 1)])
def test_a_sweep_says_what_it_did(failed, code, run, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "run", lambda *_: scheduler.SweepCounts(3, failed, 1, 0))
    done = run(*SMALL, "--results", tmp_path)
    assert done.code == code
    assert f"3 saved, 1 finished before, {failed} failed" in done.out
    assert run(*SMALL, "--results", tmp_path, "--quiet") == Done(code, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_one_line(number, run, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(scheduler, "run", interrupt)
    done = run(*SMALL, "--results", tmp_path)
    one_line(done, 1, "effbench: interrupted")
    assert "finished runs and checkpoints are saved" in done.err


@pytest.mark.parametrize(
    ("arguments", "function", "line"),
    [
        (["variants", "--json"], "effbench.cli.variant_list.asdict", NOTHING),
        (["doctor"], "effbench.hardware.checkup.examine", NOTHING),
        (["validate"], "effbench.records.validate.problems", NOTHING),
        (["compare", "a", "b"], "effbench.report.comparison.compare", NOTHING),
        (["bench", "heads"], "effbench.bench.comparisons.heads", NOTHING),
        (["report"], "effbench.report.build.read", "each file is there whole, or not at all; run"),
        (["fetch"], "effbench.data.datasets.load", "each file is there whole, or not yet; run"),
        (["merge", "a"], "effbench.records.merge.merge", "each record is joined whole, or not"),
        (["plan"], "effbench.tpu_plan.planner.make", "what was compiled is kept; run it again"),
        (["cache", "clear"], "effbench.cache.clear", "what was cleared by then is gone; run it"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_interrupted_command_says_what_holds_for_it(arguments, function, line, run, monkeypatch):
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(function, interrupt)
    one_line(run(*arguments), 1, f"effbench: interrupted: {line}")


def test_an_interruption_while_the_commands_load_is_one_line():
    code = """
import signal, sys
from effbench.cli import main
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "effbench.cli.app":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
assert "typer" not in sys.modules
main.main()
"""
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    one_line(Done(done.returncode, done.stdout, done.stderr), 1, f"interrupted: {NOTHING}")


def test_a_command_is_made_alone_and_the_help_lists_all():
    assert [*typer.main.get_command(application()).commands] == [*COMMANDS, "bench"]
    assert [*typer.main.get_command(application("sweep")).commands] == ["sweep"]
    assert [*typer.main.get_command(application("bench")).commands] == ["bench"]
    assert [*typer.main.get_command(application("swep")).commands] == [*COMMANDS, "bench"]


def test_a_bug_keeps_its_traceback(run, tmp_path, monkeypatch):
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scheduler, "run", bug)
    with pytest.raises(ZeroDivisionError):
        run(*SMALL, "--results", tmp_path)


def test_a_server_that_is_down_is_one_line_of_a_real_process(tmp_path):
    done = subprocess.run(
        (sys.executable, "-m", "effbench.cli.main", "fetch", "--weights", "none"),
        env=os.environ | {"EFFBENCH_CACHE": str(tmp_path / "c"), "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    one_line(Done(done.returncode, done.stdout, done.stderr), 1, "cannot download http://127.0.0.1")


def test_a_full_disk_under_the_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            (sys.executable, "-m", "effbench.cli.main", "--version"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    one_line(Done(done.returncode, "", done.stderr), 1, "cannot write what is printed: No space")
