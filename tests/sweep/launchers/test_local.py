"""Several runs at a time on this machine, in processes that need no TensorFlow."""

import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest
from support import no_ops

from effbench import subprocesses
from effbench.config.sweep_options import LaunchOptions
from effbench.errors import Interrupted, RelayedError, UsageError
from effbench.hardware import shares
from effbench.records.store import Store
from effbench.sweep import progress_files
from effbench.sweep.events import Event
from effbench.sweep.groups import Group
from effbench.sweep.launchers import launcher_table, local
from effbench.sweep.launchers.launcher import Launch
from effbench.sweep.needs.free_memory import Memory
from effbench.sweep.scheduler import SweepCounts


@pytest.fixture(autouse=True)
def _no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "COMMAND", (sys.executable, no_ops.__file__))
    two = [shares.Share(f"half {number}", {}, ()) for number in range(2)]
    monkeypatch.setattr(shares, "divide", lambda _, count: two[:count])


def launch(store: Store, listen, **changes: object) -> Launch:
    request = no_ops.request(**{"variants": "B0,B1,B2,T"} | changes)
    return Launch(request, store, LaunchOptions(parallel="2"), listen, print)


def test_two_at_a_time_do_all_of_it_once(tmp_path, monkeypatch):
    monkeypatch.setenv(no_ops.SECONDS, "0.3")
    store, events = Store(tmp_path), []
    whole = launch(store, events.append, seeds="0,1")
    assert local.start(whole) == SweepCounts(8, 0, 0, 0)
    assert len((tmp_path / ".writes").read_text().split()) == 8
    made = {record.provenance.device_name for record in store.load().results}
    assert len(made) == 2, "one of the workers did nothing"
    assert {event.state for event in events} == {"started", "working", "saved"}
    assert local.start(whole) == SweepCounts(0, 0, 8, 0)


def test_another_takes_over_from_a_worker_that_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv(no_ops.SECONDS, "0.3")
    killed: list[int] = []

    def listen(event: Event) -> None:
        if event.state == "working" and not killed:
            (running, *_) = progress_files.read(Store(tmp_path))
            killed.append(running.running.process)
            os.kill(killed[0], signal.SIGKILL)

    counts = local.start(launch(Store(tmp_path), listen))
    assert counts.saved == 4
    assert killed


def test_ctrl_c_ends_all_of_them_and_leaves_what_is_open(tmp_path, monkeypatch):
    monkeypatch.setenv(no_ops.SECONDS, "30")

    def listen(event: Event) -> None:
        if event.state == "working":
            raise Interrupted

    # What another test started may live as long as this process: multiprocessing's tracker does.
    before = psutil.Process().children()
    with pytest.raises(Interrupted):
        local.start(launch(Store(tmp_path), listen))
    assert not set(psutil.Process().children()) - set(before)
    assert progress_files.read(Store(tmp_path)) == []
    assert threading.active_count() < 10


def test_workers_that_all_end_early_say_why(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocesses, "COMMAND", (sys.executable, "-c", "raise SystemExit('no')"))
    with pytest.raises(RelayedError, match="a worker ended before its runs did: ended with code 1"):
        local.start(launch(Store(tmp_path), print))


def test_a_group_waits_for_memory_unless_nothing_else_runs(tmp_path, monkeypatch):
    store = Store(tmp_path)
    group = Group(no_ops.request().specs)
    memory = Memory(store)
    assert 1.3e9 < memory.needed(group) < 2e9
    large = Group(no_ops.request(recipe="finetune", variants="XL").specs)
    assert memory.needed(large) > 100e9
    assert memory.ready(10**15, [])
    more = psutil.Process().memory_info().rss + 10**9  # than this process holds already
    with store.lock(group.name).acquire(timeout=0), progress_files.noted(store, group, more):
        beside = [seen.running for seen in progress_files.read(store)]
        free = psutil.virtual_memory().available
        assert memory.ready(free // 4, beside)
        assert not memory.ready(free, beside)
    no_ops_sweep = launch(store, lambda _: None, variants="B0")
    local.start(no_ops_sweep)
    assert Memory(store).needed(group) == 2_000_000_000, "that of the record"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"launcher": "cloud"}, "unknown launcher: cloud; choose from local, "),
        ({"parallel": "many"}, "--parallel is a number from 1 on, or auto: many"),
        ({"launcher": "queue", "parallel": "2"}, "--parallel is for --launcher local: "),
        ({"wait": True}, "--wait is for --launcher "),
    ],
)
def test_what_no_launcher_can_do_is_one_line(options, words):
    with pytest.raises(UsageError) as error:
        launcher_table.chosen(LaunchOptions(**options))
    assert str(error.value).startswith(words)


def test_a_queue_is_written_down_for_machines_that_come(run, tmp_path: Path):
    arguments = ("sweep", "--variants", "B0,B1", "--weights", "none", "--data", "digits")
    done = run(*arguments, "--launcher", "queue", "--results", tmp_path)
    assert done.err == (
        "effbench: runs on other machines need to be told their device: none; add --gpu or --cpu\n"
    )
    done = run(*arguments, "--gpu", "--launcher", "queue", "--results", tmp_path)
    assert done.out == (
        "2 runs in 2 groups are written down; on each machine that sees that folder: effbench work "
        f"--results {tmp_path}\n"
    )
    there = run("work", "--results", tmp_path)
    assert there.code == 1
    assert there.err.startswith("effbench: --gpu needs an NVIDIA GPU")
