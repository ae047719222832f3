"""A SLURM: what is asked of it, and, on a real one (`make test-slurm`), what becomes of a sweep."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import no_ops, shallow
from support.sweeps import outcome, sweep

from effbench.config.sweep_options import LaunchOptions
from effbench.errors import EffbenchError, UsageError
from effbench.records.store import Store
from effbench.sweep import queues, scheduler, worker_process
from effbench.sweep.launchers import slurm, slurm_task

SLURM = "partition=main,time=30"
ARGUMENTS = (
    "--variants B0 --weights none --data digits --cpu --recipe finetune-adabelief --image-size 32 "
    "--limit 200 --batch-size 20 --epochs 30 --seeds 0,1,2"
)


def there(monkeypatch: pytest.MonkeyPatch, partitions: str = "main\ngpu") -> None:
    """A SLURM and submitit, as far as `check` looks."""
    monkeypatch.setattr(slurm, "find_spec", lambda _: "there")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(slurm, "_ask", lambda *_: partitions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90:00", 90),
        ("90:30", 91),
        ("4:00:00", 240),
        ("1-12", 2160),
        ("1-0:30:0", 1470),
    ],
)
def test_times_are_as_slurm_writes_them(text, expected):
    assert slurm.minutes(text) == expected


def test_values_may_hold_commas():
    wanted = slurm.settings("partition=a,b,time=10,gres=gpu:1,cpus-per-task=4")
    assert wanted == {"partition": "a,b", "time": 10, "gres": "gpu:1", "cpus_per_task": "4"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partition=lost,time=1", "no such partition: lost; choose from main, gpu"),
        ("partition=main", "--slurm needs the longest time of a run: partition=main; write e.g."),
        ("main", "--slurm takes names with values: main; write e.g. --slurm partition="),
        ("time=soon", "not a time of SLURM: soon; "),
        ("time=0", "a time of SLURM is at least a minute: 0; "),
    ],
)
def test_what_slurm_cannot_be_asked_is_one_line(text, words, monkeypatch):
    there(monkeypatch)
    with pytest.raises(UsageError) as error:
        slurm.check(LaunchOptions("slurm", slurm=text))
    assert str(error.value).startswith(words)


def test_what_is_not_installed_is_one_line(monkeypatch):
    there(monkeypatch)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match="no sbatch and squeue on the path; start it on a node"):
        slurm.check(LaunchOptions("slurm", slurm=SLURM))
    monkeypatch.setattr(slurm, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"not installed; pip install 'effbench\[slurm\]'"):
        slurm.check(LaunchOptions("slurm", slurm=SLURM))


def test_a_node_that_sees_another_folder_says_so(tmp_path):
    with pytest.raises(EffbenchError, match="all nodes must see the same results folder: "):
        slurm_task.run(str(tmp_path), str(tmp_path / "queue"), str(tmp_path / "token"))


@pytest.mark.parametrize(
    ("state", "kind"), [("CANCELLED", "killed"), ("TIMEOUT", "interrupted"), ("PREEMPTED", None)]
)
def test_a_job_that_is_ended_tells_its_end(state, kind, tmp_path, monkeypatch):
    """What is cancelled is a failure, what is out of time is another, and preemption is none."""
    store = Store(tmp_path)
    queue = queues.write(store, no_ops.request())

    def work(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(worker_process, "work", work)
    monkeypatch.setattr(slurm_task, "_state", lambda: state)
    monkeypatch.setenv("EFFBENCH_SHARE", "")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    try:
        slurm_task.run(str(tmp_path), str(queue.folder), str(queue.folder / "request.json"))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    failures = store.load().failures
    assert [failure.kind for failure in failures] == ([kind] if kind else [])
    assert bool(queue.open()) == (kind is None)
    again = no_ops.request(retry_failed=True)
    assert set(scheduler.states(again, store).values()) == {"run"}


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        ("JobId=9 JobState=COMPLETING Requeue=1 Restarts=3 RunTime=1", "CANCELLED"),
        ("JobId=9 JobState=COMPLETING Requeue=1 Restarts=4 RunTime=1", "PENDING"),
        ("JobId=9 JobState=TIMEOUT Restarts=3", "TIMEOUT"),
        ("slurm_load_jobs error", ""),
    ],
)
def test_only_the_starts_of_a_job_tell_whether_it_runs_again(shown, state, monkeypatch):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "3")
    monkeypatch.setattr(slurm_task, "_scontrol", lambda *_: shown)
    assert slurm_task._state() == state


def test_the_last_job_of_an_array_asks_for_itself_and_not_for_all_of_them(monkeypatch):
    for name, value in {"ARRAY_JOB_ID": "5", "ARRAY_TASK_ID": "2", "JOB_ID": "5"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    others = "JobId=6 ArrayJobId=5 ArrayTaskId=0 JobState=PENDING Restarts=1\n"
    own = "JobId=5 ArrayJobId=5 ArrayTaskId=2 JobState=CANCELLED Restarts=0\n"
    shown = {"5_2": own, "5": own + others}
    monkeypatch.setattr(slurm_task, "_scontrol", lambda *words: shown[words[-1]])
    assert slurm_task._state() == "CANCELLED"


# --- on a real one --------------------------------------------------------------------------------


def command(arguments: str, results: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    words = ("sweep", *arguments.split(), "--launcher", "slurm", "--slurm", SLURM, "--wait")
    return subprocess.Popen(
        (sys.executable, "-m", "effbench.cli.main", *words, "--results", str(results)),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def training(results: Path, env: dict[str, str], but: str = "") -> tuple[str, str]:
    """The SLURM job and the key of a run, another than `but`, that has trained for a while."""
    words = ("status", "--json", "--results", str(results))
    until = time.monotonic() + 600
    while time.monotonic() < until:
        done = subprocess.run(
            (sys.executable, "-m", "effbench.cli.main", *words),
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        for one in json.loads(done.stdout or "{}").get("running", []):
            step = one["step"]
            if step["phase"].startswith("train") and step["done"] > 500 and one["group"] != but:
                return one["share"].removeprefix("job "), one["group"]
        time.sleep(1)
    pytest.fail("no run was seen training")


@pytest.mark.slurm
def test_preempted_runs_go_on_and_cancelled_ones_are_failures(tmp_path):
    if shutil.which("sinfo") is None:
        pytest.fail(
            "there is no SLURM here: no sinfo on the path; start one, with a partition main"
        )
    env = {
        **os.environ,
        "PYTHONPATH": shallow.path(),
        "EFFBENCH_CACHE": str(tmp_path / "cache"),
    }
    results = tmp_path / "results"
    sweeping = command(ARGUMENTS, results, env)
    first, resumed = training(results, env)
    subprocess.run(("scontrol", "requeue", first), check=True)
    second, cancelled = training(results, env, but=resumed)
    subprocess.run(("scancel", second), check=True)
    said, _ = sweeping.communicate(timeout=1500)
    assert sweeping.returncode == 1, said
    assert re.search(r"SLURM has 3 groups of runs as job \d+", said)
    assert "failed: the job was cancelled (scancel)" in said
    records = Store(results).load()
    assert {record.spec.key for record in records.failures} == {cancelled}
    again = command(f"{ARGUMENTS} --retry-failed", results, env)
    said, _ = again.communicate(timeout=1500)
    assert again.returncode == 0, said
    records = Store(results).load()
    assert not records.failures
    made = {record.spec.key: record.provenance.resumed for record in records.results}
    assert made[resumed] >= 1
    alone = tmp_path / "alone"
    assert sweep(ARGUMENTS, alone, env).returncode == 0
    assert outcome(alone) == outcome(results), "bit for bit as without interruption"
