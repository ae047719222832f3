"""Whole sweeps, as a user starts them: real processes, killed and started again."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.records import complete
from support.sweeps import outcome, start, sweep, until

from effbench.config.recipes import RECIPES
from effbench.config.sweep_options import DeviceOptions, SweepOptions
from effbench.models.weights import WeightsSource
from effbench.records import caveats
from effbench.records.store import Store
from effbench.sweep import scheduler
from effbench.sweep.events import Event
from effbench.sweep.resolve import Request
from effbench.sweep.targets import Target

pytestmark = pytest.mark.usefixtures("quick_workers")

PLAIN = "--recipe case-study --variants B0 --weights none --data digits --image-size 32 --cpu"
SMALL = f"{PLAIN} --limit 40 --epochs 2"
# Enough images for several chunks of features, and epochs enough to be seen training.
LONGER = f"{PLAIN} --limit 1000 --epochs 8"


@pytest.fixture
def cache(tmp_path: Path) -> dict[str, str]:
    """Environment with a cache of its own, so that features are really computed."""
    return {**os.environ, "EFFBENCH_CACHE": str(tmp_path / "cache")}


def gone(processes: list[psutil.Process]) -> bool:
    _, present = psutil.wait_procs(processes, timeout=5)
    # One that has ended stays as a zombie until the system has asked how.
    return all(process.status() == psutil.STATUS_ZOMBIE for process in present)


def test_two_sweeps_at_once_share_the_work_and_nothing_is_done_twice(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    results = tmp_path / "results"
    arguments = SMALL.replace("B0", "B0,B1") + " --seeds 0,1"
    both = [start(arguments, results, cache) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(int(text.split(" saved,")[0].split()[-1]) for text, _ in said) == 4
    records = Store(results).load()
    assert [each.spec.variant for each in records.results] == ["B0", "B0", "B1", "B1"]
    assert records.failures == records.problems == ()
    for result in records.results:
        assert (result.images.train, result.images.validation, result.images.test) == (40, 10, 10)
        assert set(caveats.of_spec(result.spec)) >= {"random weights", "limited"}
        assert result.standard == RECIPES["case-study"]
        file = Store(results).folder(result.spec.key) / result.predictions.file
        assert hashlib.sha256(file.read_bytes()).hexdigest() == result.predictions.sha256
        arrays = np.load(file)
        for name, scores in (
            ("validation", result.reported.validation),
            ("test", result.reported.test),
        ):
            assert scores.total == len(arrays[f"{name}_label"]) == 10
            assert len(set(arrays[f"{name}_index"].tolist())) == 10
            right = arrays[f"{name}_predicted"] == arrays[f"{name}_label"]
            assert scores.correct == right.sum() == (arrays[f"{name}_rank"] == 0).sum()
            assert scores.top5_correct == (arrays[f"{name}_rank"] < 5).sum()
    before = {path: path.read_bytes() for path in results.rglob("*.json")}
    _is_json_that_says_how(min(before))
    again = sweep(arguments, results, cache)
    assert again.returncode == 0
    assert "0 saved, 4 finished before, 0 failed" in again.stdout
    assert {path: path.read_bytes() for path in results.rglob("*.json")} == before
    forced = sweep(arguments.replace("B0,B1", "B1") + " --force", results, cache)
    assert "2 saved, 0 finished before" in forced.stdout
    assert outcome(results) == {
        result.spec.key: (result.selected, result.history, result.predictions.sha256)
        for result in records.results
    }


def _is_json_that_says_how(path: Path) -> None:
    record = json.loads(path.read_text())
    made = record["provenance"]
    assert made["device"] == "cpu"
    assert made["versions"]["keras-efficientnet-v2"] == "1.2.2"
    assert made["versions"]["tf-keras"].startswith("2.")
    assert made["peak_memory"] > 100e6
    assert record["spec"]["recipe"]["maximal_learning_rate"] == 0.05
    assert [row["rule"] for row in record["selected"]] == ["val_loss", "val_accuracy", "final"]
    assert all(value >= 0 for value in record["seconds"].values())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = sweep(
        f"{LONGER} --seeds 0,1,2",
        folder / "results",
        {**os.environ, "EFFBENCH_CACHE": str(folder / "cache")},
    )
    assert done.returncode == 0, done.stderr
    return outcome(folder / "results")


def test_killed_at_any_moment_it_goes_on(
    uninterrupted: dict[str, object], tmp_path: Path, cache: dict[str, str]
) -> None:
    results, arguments = tmp_path / "results", f"{LONGER} --seeds 0,1,2"
    saved: dict[Path, bytes] = {}
    chunks: dict[Path, int] = {}

    def nothing_was_done_again() -> None:
        assert all(path.read_bytes() == content for path, content in saved.items())
        assert all(path.stat().st_mtime_ns == written for path, written in chunks.items())

    # Two heads that end an epoch at once may both be told of as the second.
    for when in ("build", "features 512", r"train ([5-9]|1\d)/24", "evaluate", "seed 0 saved"):
        process = start(arguments, results, cache)
        until(process, when)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        assert gone(workers), f"killed at {when!r}, a worker outlived its sweep"
        nothing_was_done_again()
        saved = {path: path.read_bytes() for path in results.rglob("record.json")}
        chunks = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
        assert bool(chunks) == (when != "build")
    assert saved
    done = sweep(arguments, results, cache)
    assert done.returncode == 0, done.stderr
    assert outcome(results) == uninterrupted
    nothing_was_done_again()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("auto", ""),
        ("tensorflow", ""),
        ("openvino", "by tensorflow, which counts as the same run; --force repeats it by openvino"),
    ],
)
def test_a_finished_run_says_that_another_engine_did_it(
    asked: str, said: str, tmp_path: Path
) -> None:
    """No record says which engine it was before there was a choice: it was TensorFlow."""
    store = Store(tmp_path)
    record = complete(store)
    request = Request(
        (record.spec,),
        SweepOptions(device=DeviceOptions(engine=asked)),
        WeightsSource("auto", None, "auto"),
        Target("cpu", "", None, "float32", asked, chief=True),
    )
    heard: list[Event] = []
    assert scheduler.run(request, store, heard.append).finished == 1
    assert [(event.state, event.text) for event in heard] == [("finished", said)]


def test_ctrl_c_ends_soon_and_says_so(tmp_path: Path, cache: dict[str, str]) -> None:
    process = start(LONGER, tmp_path / "results", cache)
    until(process, "features 64")
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 1
    assert errors.strip().splitlines() == [
        "effbench: interrupted: finished runs and checkpoints are saved; run it again to go on"
    ]
    assert gone(workers)
    assert Store(tmp_path / "results").load().failures == ()


def test_a_killed_worker_is_one_failure(tmp_path: Path, cache: dict[str, str]) -> None:
    results = tmp_path / "results"
    arguments = SMALL.replace("B0", "B0,B1")
    process = start(arguments, results, cache)
    until(process, "B0 none 32 case-study seed 0 build")
    (worker,) = psutil.Process(process.pid).children()
    worker.kill()
    process.communicate(timeout=300)
    assert process.returncode == 1
    records = Store(results).load()
    assert [each.spec.variant for each in records.results] == ["B1"]
    (failure,) = records.failures
    assert (failure.spec.variant, failure.kind) == ("B0", "killed")
    assert "SIGKILL" in failure.message
    again = sweep(arguments, results, cache)
    assert again.returncode == 1
    assert "0 saved, 1 finished before, 0 failed" in again.stdout
    assert "1 failed before; --retry-failed tries them again" in again.stdout
    retried = sweep(f"{arguments} --retry-failed", results, cache)
    assert retried.returncode == 0
    records = Store(results).load()
    assert len(records.results) == 2
    assert records.failures == ()


@pytest.fixture(scope="module")
def b1_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    from effbench.config.variants import VARIANTS
    from effbench.hardware.tensorflow_setup import keras
    from effbench.models import backbone

    path = tmp_path_factory.mktemp("weights") / "mine.h5"
    backbone.build(VARIANTS["B1"], 32, "float32").save_weights(path)
    yield path
    keras.backend.clear_session()


@pytest.mark.parametrize(
    ("variant", "kind", "words"),
    [("B0", "weights", "besides"), ("B1", "non-finite", "not finite")],
)
def test_bad_weights_are_a_failure(
    variant: str, kind: str, words: str, b1_file: Path, tmp_path: Path, cache: dict[str, str]
) -> None:
    import h5py

    file = tmp_path / "weights.h5"
    file.write_bytes(b1_file.read_bytes())
    with h5py.File(file, "r+") as weights:
        # Finite itself, and too large for what comes after it.
        weights["post_conv/post_conv/kernel:0"][...] = 1e38
    arguments = SMALL.replace("B0", variant).replace("none", f"{file} --rescale torch")
    done = sweep(arguments, tmp_path / "results", cache)
    assert done.returncode == 1
    (failure,) = Store(tmp_path / "results").load().failures
    assert failure.kind == kind
    assert words in failure.message
    assert failure.message in done.stdout


def test_no_network_is_a_failure_and_never_random_weights(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    nowhere = {**cache, "EFFBENCH_WEIGHTS_URL": "http://127.0.0.1:9"}
    results = tmp_path / "results"
    done = sweep(SMALL.replace("none", "imagenet"), results, nowhere)
    assert done.returncode == 1
    (failure,) = Store(results).load().failures
    assert failure.kind == "weights"
    assert "cannot be reached" in failure.message
    assert "--weights-dir" in failure.message
    again = sweep(SMALL.replace("none", "imagenet"), results, nowhere)
    assert again.returncode == 1, "a download is worth another try"
    assert "0 saved, 0 finished before, 1 failed;" in again.stdout
    assert not list(results.rglob("record.json"))
