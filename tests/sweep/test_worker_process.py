"""What a sweep makes of what its workers say and how they end; scripts play the workers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import children
from support.options import sweep_options

from effbench.errors import Interrupted
from effbench.hardware import machine
from effbench.records.store import Store
from effbench.sweep import scheduler, worker_process
from effbench.sweep.events import Event
from effbench.sweep.resolve import resolve
from effbench.sweep.scheduler import SweepCounts

pytestmark = pytest.mark.usefixtures("shallow_networks")

COMPILE = json.dumps({"step": {"phase": "compile stage 1/4 at 128 px"}})
# It compiles, with no eye for signals, and saves what it has before it ends.
COMPILES = f"""
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
say('{COMPILE}')
began = time.monotonic()
while not told or time.monotonic() - began < SECONDS:
    time.sleep(0.05)
open(json.loads(asked)["results"] + "/checkpoint", "w").close()
"""


def swept(tmp_path: Path, listen=lambda _: None, **changes: object) -> SweepCounts:
    options = {"variants": "B0", "weights": "none", "data": "digits", "device": "cpu", **changes}
    return scheduler.run(resolve(sweep_options(**options)), Store(tmp_path), listen)


def test_a_worker_that_ends_well_without_results_is_a_failure_of_each_run(monkeypatch, tmp_path):
    children.play(monkeypatch, "sys.exit(0)")
    assert swept(tmp_path, seeds="0,1") == SweepCounts(0, 2, 0, 0)
    failures = Store(tmp_path).load().failures
    assert [failure.spec.seed for failure in failures] == [0, 1]
    assert {(failure.kind, failure.message) for failure in failures} == {
        ("crash", "the worker process ended as if all was well, without a result")
    }


# The worker of B0 says what it should not; that of B1 is well.
SAYS = """
from effbench.training.job import JOB
(spec,) = JOB.validate_json(asked).specs
if spec.variant == "B0":
    WORDS
    time.sleep(60)
say(json.dumps({"key": spec.key, "saved": True}))
"""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("say('E0000 a library speaks')", "'E0000 a library speaks\\n'"),
        ("say('[]' * 100)", repr("[]" * 40)),
        ("sys.stdout.buffer.write(bytes([255, 10])); sys.stdout.flush()", "'\ufffd\\n'"),
        ("say(json.dumps({'key': 'another', 'saved': True}))", '"key": "another"'),
    ],
)
def test_a_malformed_line_ends_its_run_and_not_the_sweep(words, line, monkeypatch, tmp_path):
    children.play(monkeypatch, SAYS.replace("WORDS", words))
    began = time.monotonic()
    assert swept(tmp_path, variants="B0,B1") == SweepCounts(1, 1, 0, 0)
    assert time.monotonic() - began < 50, "the worker of B0 was waited for"
    (failure,) = Store(tmp_path).load().failures
    assert (failure.spec.variant, failure.kind) == ("B0", "crash")
    assert failure.message.startswith("the worker said what is no message: ")
    assert line in failure.message


def test_half_a_line_is_that_of_a_worker_that_was_killed(monkeypatch, tmp_path):
    words = "sys.stdout.write('{\"st'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    children.play(monkeypatch, words)
    swept(tmp_path)
    (failure,) = Store(tmp_path).load().failures
    assert (failure.kind, "SIGKILL" in failure.message) == ("killed", True)


def test_a_worker_that_the_system_ended_was_out_of_memory(monkeypatch, tmp_path):
    counts = iter([3, 4])
    monkeypatch.setattr(machine, "oom_kills", lambda: next(counts))
    children.play(monkeypatch, "os.kill(os.getpid(), signal.SIGKILL)")
    swept(tmp_path)
    (failure,) = Store(tmp_path).load().failures
    assert (failure.kind, failure.message.split(" and ")[0]) == (
        "out-of-memory",
        "the system was out of memory",
    )


# --- interrupted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [3, 1000], ids=["once", "twice"])
def test_an_interrupted_sweep_waits_for_a_compilation_or_a_second_ctrl_c(
    seconds, monkeypatch, tmp_path
):
    """Which it waits for is said at once."""
    monkeypatch.setattr(worker_process, "STOP_SECONDS", 60.0)
    children.play(monkeypatch, COMPILES.replace("SECONDS", str(seconds)))
    said: list[str] = []
    before = psutil.Process().children()

    def listen(event: Event) -> None:
        if event.state == "stopping":
            said.append(event.text)
        if event.state == "working" or (event.state == "stopping" and seconds == 1000):
            raise Interrupted

    began = time.monotonic()
    with pytest.raises(Interrupted):
        swept(tmp_path, listen, recipe="finetune")
    assert time.monotonic() - began < 60
    assert said == [
        "waits for compile stage 1/4 at 128 px to come to where it can be saved; "
        "a second Ctrl-C ends it at once"
    ]
    assert (tmp_path / "checkpoint").exists() == (seconds == 3)
    assert psutil.Process().children() == before
    assert Store(tmp_path).load().failures == ()


def test_whose_output_nobody_reads_still_saves(monkeypatch, tmp_path):
    children.play(monkeypatch, COMPILES.replace("SECONDS", "4"))

    def listen(event: Event) -> None:
        if event.state != "started":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        swept(tmp_path, listen, recipe="finetune")
    assert (tmp_path / "checkpoint").exists()


def test_a_head_or_nothing_to_save_is_not_waited_for(monkeypatch, tmp_path):
    for recipe, phase in (("case-study", "train"), ("finetune", "build")):
        line = json.dumps({"step": {"phase": phase}})
        script = COMPILES.replace("SECONDS", "1000").replace(COMPILE, line)
        children.play(monkeypatch, script)

        def listen(event: Event) -> None:
            assert event.state in ("started", "working")
            if event.state == "working":
                raise Interrupted

        began = time.monotonic()
        with pytest.raises(Interrupted):
            swept(tmp_path, listen, recipe=recipe)
        assert time.monotonic() - began < 40


SWEEP = """
import sys
from effbench import subprocesses
from effbench.cli import main
from effbench.sweep.needs import forward_trial
forward_trial.measured = lambda *_: None  # its child would be the worker below
subprocesses.COMMAND = (sys.executable, "-c", sys.argv.pop(1))
main.main()
"""


def test_real_signals_end_a_real_sweep(tmp_path):
    script = children.HEAD + COMPILES.replace("SECONDS", "1000")
    arguments = "sweep --variants B0 --weights none --data digits --cpu --recipe finetune --results"
    process = subprocess.Popen(
        (sys.executable, "-c", SWEEP, script, *arguments.split(), tmp_path),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for words, number in (("compile stage", signal.SIGINT), ("stopping", signal.SIGTERM)):
        for line in process.stdout:
            if words in line:
                break
        workers = psutil.Process(process.pid).children()
        process.send_signal(number)
    assert line == (
        "> B0 none 224 finetune seed 0 stopping: waits for compile stage 1/4 at 128 px to come to "
        "where it can be saved; a second Ctrl-C ends it at once\n"
    )
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 1
    assert errors.splitlines()[-1] == (
        "effbench: interrupted: finished runs and checkpoints are saved; run it again to go on"
    )
    assert not psutil.wait_procs(workers, timeout=5)[1]
