"""Runs that take down every worker that touches them end as failures, unless there is progress."""

import json
import os
from pathlib import Path

import pytest
from support import no_ops

from effbench.failures import FailureKind
from effbench.progress import Step
from effbench.records.store import Store
from effbench.sweep import queues, scheduler, takeovers, worker_process
from effbench.sweep.events import Event
from effbench.sweep.queues import Queue
from effbench.sweep.scheduler import SweepCounts
from effbench.sweep.takeovers import MOST_DEATHS


def silent(_: Event) -> None:
    pass


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(worker_process, "work", no_ops.work)
    return Store(tmp_path / "results")


@pytest.fixture
def queue(store: Store) -> Queue:
    return queues.write(store, no_ops.request())


class KilledError(BaseException):
    """Stands for SIGKILL."""


def die(store: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    """A worker takes the group, comes as far as a step, and is killed: its file stays."""

    def work(job, left, log, settle, *_):
        settle(type("Said", (), {"step": step}))
        (file,) = store.directory.glob(".running/*.json")
        left_there.append((file, file.read_bytes()))
        raise KilledError

    left_there: list[tuple[Path, bytes]] = []
    with monkeypatch.context() as patch:
        patch.setattr(worker_process, "work", work)
        with pytest.raises(KilledError):
            scheduler.settle(queue, store, queue.groups[0], silent, wait=False)
    for file, content in left_there:
        file.write_bytes(content)


def test_a_run_that_kills_its_workers_is_a_failure_that_can_be_tried_again(
    store, queue, monkeypatch
):
    for _ in range(MOST_DEATHS):
        die(store, queue, monkeypatch, Step("train", 3, 24, "epochs"))
    assert scheduler.take(store, silent) == SweepCounts(0, 1, 0, 0)
    (failure,) = store.load().failures
    assert failure.kind == FailureKind.WORKERS_DIED
    assert failure.message.startswith("3 workers died with it, one after the other, without a ")
    assert failure.message.endswith(f" {os.getpid()}, in its phase train 3/24")
    assert not queues.read(store)
    assert not list(store.directory.glob(".running/*"))
    queues.write(store, no_ops.request())
    assert scheduler.take(store, silent) == SweepCounts(0, 0, 0, 1)
    queues.write(store, no_ops.request(retry_failed=True))
    assert scheduler.take(store, silent) == SweepCounts(1, 0, 0, 0)


def test_progress_and_a_sweep_that_begins_anew_count_from_nothing(store, queue, monkeypatch):
    def deaths() -> int:
        return takeovers.toll(store, queue, queue.groups[0]).deaths

    key = queue.groups[0].specs[0].key
    train = Step("train", 3, 24, "epochs")
    for number in range(1, MOST_DEATHS):
        die(store, queue, monkeypatch, train)
        assert deaths() == number
    checkpoint = store.checkpoints(key) / "step-000000001-a.npz"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert deaths() == 0
    die(store, queue, monkeypatch, train)
    assert deaths() == 1
    die(store, queue, monkeypatch, Step("features", 512, 1797, "images"))
    assert deaths() == 0, "more features are in the cache"
    die(store, queue, monkeypatch, Step("features", 512, 1797, "images"))
    assert deaths() == 1, "no more of them"
    (file,) = store.directory.glob(".running/*.json")
    old = json.loads(file.read_text())
    for name in ("deaths_before", "saved_before", "features_before"):
        del old[name]
    file.write_text(json.dumps(old))
    os.utime(file, (1, 1))
    assert deaths() == 0, "it died before the sweep began"
