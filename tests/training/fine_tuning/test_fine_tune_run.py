"""Sweeps that train whole networks, as a user starts them: stopped, refused, out of memory."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from support.options import sweep_options
from support.sweeps import one, outcome, start, sweep, until

from effbench.config.sweep_options import SweepOptions
from effbench.errors import PreemptedError
from effbench.failures import FailureKind
from effbench.records.store import Store
from effbench.records.validate import problems
from effbench.sweep import run_job, worker_process
from effbench.sweep import scheduler as sweeping
from effbench.sweep.resolve import resolve
from effbench.training.checkpoints import Checkpoint, Keeper, State
from effbench.training.fine_tuning import fine_tune
from effbench.training.job import Job, Problem

pytestmark = pytest.mark.usefixtures("quick_workers")

# One stage, as each takes B0 half a minute to compile; `test_finetune` has a change of stages.
SMALL = (
    "--variants B0 --data digits --limit 64 --image-size 64 --batch-size 16 --epochs 4 --cpu "
    "--recipe scratch --set stages=1"
)


# What only the last stage trains is compiled in half the time.
LAST = "--set unfreeze=stage7"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that nothing interrupts."""
    results = tmp_path_factory.mktemp("whole")
    done = sweep(f"{SMALL} --tensorboard", results, {**os.environ})
    assert done.returncode == 0, done.stderr
    return results


def test_a_record_says_how_and_what_was_limited(whole):
    record = one(whole)
    assert list(record.marks) == [
        "from scratch",
        "limited",
        "changed recipe",
        "not native size",
    ]
    assert record.marks["limited"] == "64 images, 4 epochs"
    assert record.marks["changed recipe"] == "batch_size 16, stages 1"
    assert [row.rule for row in record.selected] == ["val_loss", "val_accuracy", "final"]
    assert record.predictions.epochs == tuple(sorted({row.epoch for row in record.selected}))
    assert not problems(whole).errors
    assert len(record.history) == 4
    assert record.provenance.micro_batch == 16
    assert record.provenance.weights_verified == "random weights"
    assert record.seconds.train > 0
    assert not list((whole / ".checkpoints").glob("*"))


def test_beside_it_are_a_curve_logs_and_the_weights(whole):
    key = one(whole).spec.key
    curve = (whole / "runs" / key / "history.csv").read_text().splitlines()
    assert curve[0].startswith("epoch,learning_rate,train_loss,train_accuracy,")
    assert len(curve) == 5
    assert list((whole / "tensorboard" / key).glob("events.out.tfevents.*"))
    assert Store(whole).model(key).stat().st_size > 3e6


def test_stopped_by_sigterm_it_goes_on_to_the_same(whole, tmp_path):
    process = start(SMALL, tmp_path, {**os.environ})
    until(process, "train stage 1/1 at 64 px 16/256 images")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "interrupted: finished runs and checkpoints are saved; run it again to go on" in errors
    assert list((tmp_path / ".checkpoints").glob("*/step-*.npz"))
    assert Store(tmp_path).load().failures == ()
    again = sweep(SMALL, tmp_path, {**os.environ})
    assert again.returncode == 0, again.stderr
    assert one(tmp_path).provenance.resumed == 1
    assert outcome(tmp_path) == outcome(whole)


def test_it_trains_on_several_replicas(tmp_path):
    line = "--variants B0 --weights none --data digits --limit 64 --image-size 32 --batch-size 32"
    more = f"--epochs 1 --cpu --replicas 2 --recipe finetune {LAST}"
    done = sweep(f"{line} {more}", tmp_path, {**os.environ})
    assert done.returncode == 0, done.stderr
    record = one(tmp_path)
    assert (record.provenance.replicas, record.history[0].train.total) == (2, 64)


def test_what_is_not_finite_is_a_failure_that_names_step_and_rate(tmp_path):
    line = SMALL.replace("scratch", "progressive --weights none")
    done = sweep(f"{line} {LAST} --set maximal_learning_rate=1e38", tmp_path, {**os.environ})
    assert done.returncode == 1
    (failure,) = Store(tmp_path).load().failures
    assert failure.kind == "non-finite"
    for words in ("at step ", "learning rate ", "last good checkpoint: none"):
        assert words in failure.message


# --- out of memory --------------------------------------------------------------------------------


def asked(**changes: object) -> SweepOptions:
    return sweep_options(
        variants="B0",
        weights="none",
        data="digits",
        recipe="finetune",
        device="cpu",
        **{"batch_size": 64, **changes},
    )


def attempts(
    monkeypatch, tmp_path: Path, fits: int, kinds: tuple[str, ...] = (), **changes: object
) -> tuple[list[int], Store]:
    """The micro-batches that a sweep tries where only so many images fit, and else it ends so."""
    tried = []

    def work(job, left, *_):
        tried.append(job.images_at_once)
        if job.images_at_once > fits:
            kind = kinds[len(tried) - 1] if kinds else "out-of-memory"
            return Problem(FailureKind(kind), "too much")
        left.clear()
        return None

    monkeypatch.setattr(worker_process, "work", work)
    store = Store(tmp_path)
    sweeping.run(resolve(asked(**changes)), store, lambda _: None)
    return tried, store


def test_out_of_memory_it_tries_half_the_micro_batch(monkeypatch, tmp_path):
    tried, store = attempts(monkeypatch, tmp_path, 16)
    assert tried == [64, 32, 16]
    assert store.load().failures == ()


def test_it_begins_with_no_more_than_the_machine_has(monkeypatch, tmp_path):
    """Of 64 images of 224 pixels B0 keeps 1.3 GB at least, so 32 may fit into one."""
    memory = SimpleNamespace(available=10**9, total=10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert attempts(monkeypatch, tmp_path, 16)[0] == [32, 16]


def test_a_crash_after_that_is_out_of_memory_too(monkeypatch, tmp_path):
    kinds = ("out-of-memory", "killed", "killed")
    assert attempts(monkeypatch, tmp_path, 8, kinds)[0] == [64, 32, 16, 8]


def test_a_crash_at_first_is_not(monkeypatch, tmp_path):
    tried, store = attempts(monkeypatch, tmp_path, 8, ("killed",))
    assert tried == [64]
    assert [each.kind for each in store.load().failures] == ["killed"]


def test_it_begins_with_the_micro_batch_that_was_asked_for(monkeypatch, tmp_path):
    assert attempts(monkeypatch, tmp_path, 16, micro_batch=32)[0] == [32, 16]


def test_an_odd_micro_batch_is_the_end(monkeypatch, tmp_path):
    tried, store = attempts(monkeypatch, tmp_path, 1, batch_size=12)
    assert tried == [12, 6, 3]
    assert [each.kind for each in store.load().failures] == ["out-of-memory"]


def test_it_does_not_if_told_so(monkeypatch, tmp_path):
    tried, store = attempts(monkeypatch, tmp_path, 16, oom_retry=False)
    assert tried == [64]
    assert [each.kind for each in store.load().failures] == ["out-of-memory"]


def test_a_retry_that_was_interrupted_goes_on_by_itself(monkeypatch, tmp_path):
    _, store = attempts(monkeypatch, tmp_path, 16, oom_retry=False)
    (failure,) = store.load().failures
    key = failure.spec.key
    request = resolve(asked())
    saved = store.checkpoints(key) / "step-000000001-0.npz"
    saved.parent.mkdir(parents=True)
    saved.touch()
    failed = store.path(failure).stat().st_mtime
    for seconds, state in ((-1, "failed before"), (1, "run")):
        os.utime(saved, (failed + seconds,) * 2)
        assert sweeping.states(request, store) == {key: state}


def saved_checkpoint(store: Store, key: str, micro_batch: int | None) -> None:
    path = store.checkpoints(key, micro_batch) / "step-000000001-0.npz"
    path.parent.mkdir(parents=True)
    path.touch()


def test_a_later_sweep_goes_on_in_the_micro_batch_of_the_checkpoint(monkeypatch, tmp_path):
    _, store = attempts(monkeypatch, tmp_path, 16, oom_retry=False)
    (failure,) = store.load().failures
    saved_checkpoint(store, failure.spec.key, None)
    assert attempts(monkeypatch, tmp_path, 1, retry_failed=True)[0] == [64, 32, 16, 8, 4, 2, 1]
    saved_checkpoint(store, failure.spec.key, 32)
    saved_checkpoint(store, failure.spec.key, 16)
    assert store.retried_micro_batch(failure.spec.key) == 16
    assert attempts(monkeypatch, tmp_path, 8, retry_failed=True)[0] == [16, 8]
    tried, _ = attempts(monkeypatch, tmp_path, 8, retry_failed=True, oom_retry=False)
    assert tried == [64], "it was told not to take a smaller one"


def test_a_later_sweep_that_is_killed_keeps_the_micro_batch_of_its_checkpoint(
    monkeypatch, tmp_path
):
    (spec,) = resolve(asked()).specs
    saved_checkpoint(Store(tmp_path), spec.key, 16)
    assert attempts(monkeypatch, tmp_path, 1, ("killed",))[0] == [16]


def test_a_retry_begins_anew(monkeypatch, tmp_path):
    (spec,) = resolve(asked(batch_size=16, limit=32, image_size=32)).specs
    # Nobody could go on from this one: whoever reads it says so.
    keeper = Keeper(Store(tmp_path).checkpoints(spec.key), spec.key, "another", 10)
    keeper.save(Checkpoint(State(step=1), [], {}))
    loaded = []

    def train(trainer, task, stages, validation, hooks):
        loaded.append((task.micro_batch, hooks.keeper.load()))
        raise PreemptedError("enough", "seen", "end")

    monkeypatch.setattr(fine_tune, "train", train)
    job = Job((spec,), tmp_path, None, None, "", "cpu", 0.0, micro_batch=8)
    with pytest.raises(PreemptedError):
        run_job.run(job, lambda _: None, lambda: False)
    assert loaded == [(8, None)]


def test_a_smaller_micro_batch_is_marked(whole):
    record = Store(whole).load().results[0]
    raw = json.loads(Store(whole).path(record).read_text())
    raw["provenance"]["micro_batch"] = 4
    Store(whole).path(record).write_text(json.dumps(raw))
    assert one(whole).marks["micro-batches"] == "of 4"
    raw["provenance"]["micro_batch"] = 16
    Store(whole).path(record).write_text(json.dumps(raw))
    assert "micro-batches" not in one(whole).marks
