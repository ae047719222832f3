"""Steps are timed, failures are rows, and figures follow from times; no test looks at a time."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from support.commandline import one_line

from effbench import subprocesses
from effbench.bench import step as bench_step
from effbench.bench import step_messages, step_peers, step_table
from effbench.bench.peers import WAYS, Peer
from effbench.bench.step import StepOptions, TimedCase
from effbench.bench.step_messages import Case, Reply
from effbench.config import recipes
from effbench.errors import Interrupted

pytestmark = pytest.mark.usefixtures("quick_workers")

CASE = Case("B0", 32, 4, "float32", replace(recipes.get("finetune"), batch_size=4))


def played(monkeypatch: pytest.MonkeyPatch, *replies: Reply | None, code: int = 0) -> list[str]:
    """Sides without processes: they say these replies in turn, and end where there is a None."""
    said = iter(replies)
    told: list[str] = []

    class Process:
        pid = 1

        def wait(self) -> int:
            return code

    class Played(bench_step.Side):
        def _tell(self, line: bytes) -> None:
            told.append(line.decode())

        def _hear(self) -> Reply:
            reply = next(said)
            if reply is None:
                self.problem = subprocesses.ended(code, "one\nlast line\n")
            else:
                self._last, self.problem = reply, reply.problem
            return self._last

        def _used(self) -> float:
            return 0.0

    class Side:
        def __init__(self, case: Case) -> None:
            self.side = Played(case, Process())  # type: ignore[arg-type]

        def __enter__(self) -> bench_step.Side:
            return self.side

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(bench_step, "side_of", Side)
    return told


def row(monkeypatch: pytest.MonkeyPatch, *replies: Reply | None, code: int = 0) -> TimedCase:
    played(monkeypatch, *replies, code=code)
    options = StepOptions(
        image_sizes="32", batch_sizes="4", augmentation=(False,), steps=2, rounds=1
    )
    (found,) = bench_step.run(options, lambda step: None)
    return found


FIT = (Reply(train=(9.0, 3.0), memory=5), Reply(train=(8.0, 2.0, 4.0), memory=7))
OWN = (
    Reply(train=(6.0, 1.0), inference=(5.0, 1.0), images=100, memory=1),
    Reply(train=(7.0, 1.5, 2.5), inference=(9.0, 0.5, 0.5), images=100, memory=3),
)


def test_a_row_follows_from_what_the_processes_say(monkeypatch) -> None:
    found = row(monkeypatch, FIT[0], OWN[0], FIT[1], OWN[1])
    assert found.problem == ""
    assert found.compile == 5.0
    assert (found.train.median, found.train.best, found.train.steps) == (2.0, 1.5, 2)
    assert found.train.images_per_second == 2.0
    assert (found.inference.median, found.inference.images_per_second) == (0.5, 200.0)
    assert (found.fit.median, found.fit.best) == (3.0, 2.0)
    assert (found.ratio, found.best_ratio) == (1.5, pytest.approx(4 / 3))
    assert (found.memory, found.fit_memory) == (3, 7)


def test_percentiles() -> None:
    found = step_messages.pace([value / 100 for value in range(101)], 32)
    assert (found.p10, found.median, found.p90, found.p99) == pytest.approx((0.1, 0.5, 0.9, 0.99))
    assert (found.best, found.steps, found.images) == (0.0, 101, 32)


def test_sides_take_turns_there_and_back(monkeypatch) -> None:
    told = played(
        monkeypatch, FIT[0], OWN[0], OWN[0], FIT[1], OWN[1], OWN[1], OWN[1], OWN[1], FIT[1]
    )
    options = StepOptions(image_sizes="32", batch_sizes="4", steps=2, rounds=2)
    rows = bench_step.run(options, lambda step: None)
    assert [each.augmented for each in rows] == [False, True]
    assert told[3:] == ["2"] * 6
    assert [each.train.steps for each in rows] == [4, 4]
    assert rows[0].fit == rows[1].fit
    assert rows[0].fit.steps == 4


@pytest.fixture
def _stub(monkeypatch) -> None:
    """A peer that takes no time."""
    here = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    peer = Peer("support.step_stub", (), WAYS, torch=True)
    monkeypatch.setattr(bench_step, "PEERS", {"timm": peer})
    monkeypatch.setattr(step_peers, "PEERS", {"timm": peer})


@pytest.mark.usefixtures("_stub")
def test_a_peer_takes_turns_and_what_is_missing_is_a_line(run, monkeypatch, tmp_path) -> None:
    replies = [FIT[0], OWN[0], FIT[1], OWN[1], OWN[1], FIT[1]]
    told = played(monkeypatch, *replies)
    output = tmp_path / "steps.md"
    done = run(
        *("bench", "step", "--image-size", 32, "--batch-size", 4, "--augmentation", "off"),
        *("--steps", 2, "--rounds", 2, "--peer", "timm", "--output", output),
    )
    lacking = (
        "timm: No module named 'timm'; pip install 'effbench[peers]', or name an interpreter that "
        "has it with --peer-python"
    )
    assert (done.code, done.err) == (1, f"effbench: {lacking}\n")
    assert told[2:] == ["2"] * 4
    (row,) = json.loads(output.with_suffix(".json").read_bytes())["rows"]
    eager, compiled = row["peers"]
    assert (eager["way"], eager["version"], eager["problem"]) == ("eager", "timm 1.2.3", "")
    assert (eager["train"]["steps"], eager["train"]["images"]) == (4, 4)
    assert len(eager["ratios"]) == 2
    assert (compiled["train"], compiled["ratios"]) == (None, [])
    text = output.read_text("utf-8")
    assert "### Training steps beside other tools" in text
    assert "timm 1.2.3: timm's network of the same name" in text
    assert f"Failed: {lacking}." in text


@pytest.mark.usefixtures("_stub")
def test_a_peer_that_dies_is_a_line_of_its_own(run, monkeypatch, tmp_path) -> None:
    played(monkeypatch, FIT[0], OWN[0], FIT[1], OWN[1])
    done = run(
        *("bench", "step", "--image-size", 64, "--batch-size", 4, "--augmentation", "off"),
        *("--steps", 2, "--rounds", 1, "--peer", "timm", "--ways", "eager"),
        *("--output", tmp_path / "steps.md"),
    )
    words = "effbench: B0 at 64, batch 4, timm eager: ended with code 1: out of luck\n"
    assert (done.code, done.err) == (1, words)


def test_ratios_are_those_of_the_medians_of_each_round() -> None:
    class Process:
        problem, others = "", 0.0
        turns = iter([[3.0, 2.0, 9.0], [8.0, 8.0, 8.0]])

        def begin(self, question: bytes) -> dict:
            return {"version": "timm 1"}

        def turn(self, length: float) -> list[float]:
            return next(self.turns)

    peer = step_peers.PeerSide("timm", "eager", CASE, Process())  # type: ignore[arg-type]
    for _ in range(2):
        peer.turn(3)
    steps = peer.beside([1.5, 2.0])
    assert (steps.ratios, steps.ratio) == ((2.0, 4.0), 3.0)
    assert (steps.train.steps, steps.train.median) == (6, 8.0)
    row = TimedCase(CASE, False, train=step_messages.pace([1.6, 2.0], 4), peers=(steps,))
    (*_, beside) = step_table.show([row], StepOptions()).tables
    cells = beside.only(["By", "effbench × as fast", "fastest"]).rows
    assert cells == (("timm eager", "3.00 (2.00 to 4.00)", "1.25"),)


def test_what_runs_out_of_memory_is_a_row(monkeypatch) -> None:
    found = row(monkeypatch, FIT[0], Reply(problem="out of memory: OOM"), FIT[1])
    assert found.problem == "out of memory: OOM"
    assert found.train is None
    assert found.ratio is None


def test_a_killed_process_is_a_row(monkeypatch) -> None:
    found = row(monkeypatch, FIT[0], OWN[0], FIT[1], None, code=-signal.SIGKILL)
    assert found.problem == "ended by SIGKILL (often the system out of memory)"


def test_without_its_fit_a_row_has_its_own_figures(monkeypatch) -> None:
    found = row(monkeypatch, None, OWN[0], OWN[1], code=1)
    assert found.problem == "plain fit ended with code 1: last line"
    assert found.train.median == 2.0
    assert found.ratio is None
    shown = step_table.show([found], StepOptions())
    (training, _) = shown.tables
    assert training.only(["× fit"]).rows[0] == ("-",)
    assert "plain fit ended with code 1" in step_table.markdown(shown)


def test_every_combination_is_a_case() -> None:
    found = bench_step.cases(
        StepOptions(
            variants="B0,S",
            image_sizes="96,128",
            batch_sizes="8,16",
            recipes="finetune,finetune-adabelief",
        )
    )
    # finetune-adabelief augments nothing, so that it is one case.
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 3
    assert all(case.recipe.batch_size == case.batch_size for case in found)


def test_progressive_learning_without_augmentation() -> None:
    (own,) = bench_step.cases(
        StepOptions(image_sizes="128", recipes="progressive", augmentation=(False,))
    )
    assert own.recipe.randaugment == own.recipe.first_randaugment == 0
    assert own.recipe.dropout > 0


@pytest.mark.parametrize(
    ("flag", "value", "text"),
    [
        ("--recipe", "nonsense", "unknown recipe"),
        ("--recipe", "case-study", "train a whole network: case-study"),
        ("--variants", "B9", "B9"),
        ("--image-size", "96,large", "whole numbers from 32 to 2048: 96,large"),
        ("--image-size", "16", "whole numbers from 32 to 2048: 16"),
        ("--batch-size", "0", "whole numbers from 1"),
        ("--precision", "float16", "unknown precision: float16"),
        ("--peer", "caffe", "unknown peer: caffe; choose from timm"),
        ("--ways", "graph", "unknown way of torch: graph; choose from eager, compiled"),
        ("--peer-python", "nowhere", "nowhere"),
        ("--output", "steps.json", "end in .md"),
    ],
)
def test_what_cannot_be_is_a_usage_error(run, tmp_path, monkeypatch, flag, value, text) -> None:
    monkeypatch.chdir(tmp_path)
    one_line(run("bench", "step", flag, value), 2, text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "code", "text"),
    [
        ("folder", 2, "--output names a file: the folder folder; name a file in it"),
        ("file/x.md", 1, "cannot write under file: Not a directory; name a directory, not a file"),
    ],
)
def test_where_no_table_can_be_is_said_before(run, tmp_path, monkeypatch, output, code, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(bench_step, "run", lambda *_: pytest.fail("it measures"))
    one_line(run("bench", "step", "--output", output), code, text)


def test_interrupted_it_says_that_nothing_was_written(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def interrupted(*_: object) -> None:
        raise Interrupted

    monkeypatch.setattr(bench_step, "run", interrupted)
    one_line(run("bench", "step"), 1, "effbench: interrupted: nothing was written; run it again")
    assert list(tmp_path.iterdir()) == []


def test_steps_of_b0_are_timed_printed_and_saved(run, tmp_path) -> None:
    path = tmp_path / "new" / "steps.md"
    sizes = ("--image-size", 32, "--batch-size", 4, "--steps", 2, "--rounds", 1)
    done = run("bench", "step", *sizes, "--augmentation", "on", "--output", path)
    assert (done.code, done.err) == (0, "")
    assert "× fit" in done.out
    table = path.read_text("utf-8")
    assert table.startswith("### Training steps")
    saved = json.loads(path.with_suffix(".json").read_text("utf-8"))
    (found,) = saved["rows"]
    assert found["augmented"]
    assert found["problem"] == ""
    assert found["compile"] > 0
    for what in ("train", "inference", "fit"):
        assert found[what]["steps"] == 2
        assert 0 < found[what]["best"] <= found[what]["median"] <= found[what]["p99"]
    assert found["train"]["images"] == 4
    assert found["inference"]["images"] == 128
    assert found["memory"] > 1e8
    assert found["fit_memory"] > 1e8
    assert found["ratio"] == pytest.approx(found["fit"]["median"] / found["train"]["median"])
    assert saved["machine"] in table
