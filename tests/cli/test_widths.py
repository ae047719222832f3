"""Every command at several widths of a terminal, beside what it prints where there is none."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from support.records import complete, failure, put, result, spec

from effbench import cache
from effbench.bench import comparisons, step
from effbench.bench.comparisons import TimingComparison
from effbench.bench.step_peers import PeerSteps
from effbench.bench.work_timing import Timing
from effbench.config.recipes import RECIPES
from effbench.data import datasets
from effbench.engines import examination
from effbench.export import predict, speed
from effbench.export.predict import Prediction
from effbench.files import write_atomically
from effbench.hardware import checkup
from effbench.hardware.checkup import Check
from effbench.hardware.tpu_slices import SLICES
from effbench.records.store import LOG, Store
from effbench.report.published import TABLES
from effbench.tpu_plan import planner
from effbench.tpu_plan.estimate import ProgramEstimate

RESULTS = Path(__file__).parents[2] / "results"
WIDTHS = (80, 120, 200)
FAILURE = failure(log=LOG, message="the weights [red]do not fit: " + "words and words " * 20)


def planned() -> list[planner.PlannedRun]:
    """The runs of the repository's plan, one of them refused."""
    rows = [
        planner.PlannedRun(
            replace(
                spec(variant=run["variant"], image_size=run["image_size"]),
                recipe=RECIPES[run["recipe"]],
            ),
            SLICES[run["tpu"]],
            datasets.outline("cifar10"),
            tuple(ProgramEstimate(**program) for program in run["programs"]),
            run["problem"],
            largest=24,
        )
        for plan in json.loads((RESULTS / "plan.json").read_text())
        for run in plan["runs"]
    ]
    return [*rows, replace(rows[-1], problem="needs " + "very " * 30 + "much", programs=())]


def timed() -> list[step.TimedCase]:
    """The repository's timed steps: of one recipe, and the same of others."""
    text = json.loads((RESULTS / "bench-step.json").read_text())["rows"]
    rows = TypeAdapter(list[step.TimedCase]).validate_python(text)
    long = RECIPES["finetune-adabelief"]
    others = [
        replace(row, case=replace(row.case, precision="mixed_bfloat16", recipe=long, batch_size=8))
        for row in rows
    ]
    peer = PeerSteps("timm", "compiled", "", "timm 1, torch 2", rows[0].train, (1.27, 1.31, 1.44))
    return [replace(row, peers=(peer,)) for row in rows + others]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A folder with records, and commands that find what they would compute."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "a_long_name_of_a_folder" / "cache"))
    write_atomically(cache.directory() / "features" / f"{'0' * 64}-B0-imagenet-224.npy", b"1234")
    store = Store(tmp_path / "results")
    complete(store)
    put(store, result(spec=spec(variant="XL")))
    contradictory = complete(store, seed=1)
    raw = json.loads(store.path(contradictory).read_bytes())
    raw["images"]["train"] = 79
    store.path(contradictory).write_text(json.dumps(raw))
    complete(Store(tmp_path / "source"), seed=2)
    store.save(FAILURE)
    log = "\n".join(f"line {number} [red] " + "of a traceback " * 12 for number in range(30))
    write_atomically(store.folder(FAILURE.spec.key) / LOG, log.encode())

    monkeypatch.setattr(planner, "make", lambda *_: planned())
    monkeypatch.setattr(step, "run", lambda *_: timed())
    timings = (
        Timing("training", 0.5),
        Timing("backbone in every step, " * 6, 1531.5, 3 * 10**9),
    )
    found = TimingComparison(timings, ("ratio 48.6 (at least 15)", "the same in both ways " * 6))
    monkeypatch.setattr(comparisons, "heads", lambda rounds: found)
    checks = [Check("python", True, "3.11.7"), Check("tpu", False, "word " * 30, "hint " * 20)]
    monkeypatch.setattr(checkup, "examine", lambda: checks)
    monkeypatch.setattr(examination, "examine", list)
    path = Path("a folder of photos", f"{'a-long-name-' * 8}.jpeg")
    top = (("a class with a long name, " * 3, 0.98765), ("cat", 0.01))
    monkeypatch.setattr(predict, "predict", lambda *_: [Prediction(path, top)] * 2)
    paces = (speed.BatchSpeed(1, 1013.6, 39.1), speed.BatchSpeed(32, 2028.4, 79.9))
    runtime = "OpenVINO 2026.4.1-22982-e213a147257-releases/2026/4"
    pace = speed.ModelSpeed("a-long-name-" * 5, "savedmodel", 224, paces, runtime, "a CPU, 2 cores")
    monkeypatch.setattr(speed, "measure", lambda *_: pace)
    return tmp_path


# Commands, with what they show of the narrowest terminal.
COMMANDS: tuple[tuple[str, list[str]], ...] = (
    ("variants", ["Model Size Parameters GFLOPs Rescale Weights", "also shows md5"]),
    ("reference", ["case-study-curves every epoch of the case study, 225 rows"]),
    *((f"reference {name}", [table.sources[0]]) for name, table in TABLES.items()),
    ("show B0 --results source", ["selected by epoch split top-1 correct top-5 top-5 correct"]),
    ("show XL --results results", ["10,000 test", "val top-1 val top-5", "0.3333"]),
    (f"show {FAILURE.spec.key} --results results", ["[red]do not fit:", "the last of 30 lines of"]),
    ("plan", ["Model Size Batch Compiles HBM Fits GFLOP Step From Run Largest", "also shows MB."]),
    ("plan --price-per-hour 1234.5", ["HBM Fits Step From Run Cost Largest", "$1234.5 an hour"]),
    ("bench step --output steps.md", ["27.3", "1.09", "28.2", "94.0", "1.31"]),
    ("bench heads", ["seconds peak memory", "1531.50 3.00 GB", "ratio 48.6"]),
    (
        "bench predict model",
        ["Format Side By 1 By 32 By 1 per core", "also shows By 32 per core, Runtime."],
    ),
    ("doctor", ["ok python: 3.11.7", "wrong tpu: word"]),
    ("validate results", ["images.train: expected 80, found 79"]),
    ("merge source --results merged", ["0 superseded in merged"]),
    (
        f"evaluate --list {RESULTS / 'export'}",
        [
            "Data Split Model Format Numbers Accuracy",
            "float16 84.31",
            "also shows MB, 95 % interval",
        ],
    ),
    ("predict model photo", ["Image Class Probability", "98.77%"]),
    ("cache", ["0.0 MB"]),
    ("fetch --weights none --data digits", ["digits: "]),
)


def figures(text: str) -> set[str]:
    return {word for word in text.split() if re.fullmatch(r"[-$(\[]*\d[\d,.:]*[%),;.]*", word)}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("command", "expected"), COMMANDS, ids=[row[0] for row in COMMANDS])
def test_no_line_is_longer_than_the_terminal_and_no_figure_is_cut(
    command, expected, width, home, run, terminal
):
    arguments = command.split()
    whole = run(*arguments).out
    terminal(width)
    shown = run(*arguments).out
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    # Another merge has nothing left to do, and percents are for people alone.
    if arguments[0] not in ("merge", "predict"):
        assert figures(shown) <= figures(whole)
    text = " ".join(shown.split())
    for words in expected if width == WIDTHS[0] else ():
        assert words in text


def test_all_columns_are_there_where_there_is_room(home, run, terminal):
    terminal(WIDTHS[-1])
    for command, _ in COMMANDS:
        assert "A wider terminal" not in run(*command.split()).out
