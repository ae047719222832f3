"""Replicas: parts of a CPU come to what one device comes to, image by image."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from effbench import subprocesses
from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.training import evaluate
from effbench.training.evaluate import Evaluator
from effbench.training.features import inputs as lookups
from effbench.training.heads import head_step

pytestmark = pytest.mark.usefixtures("quick_workers")

SMALL = (
    "--cpu --recipe case-study --variants B0 --weights none --data digits --limit 43 --epochs 2 "
    "--image-size 32"
)
SECONDS = 400


# --- the programs, one device against four -------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> dict[str, dict]:
    """What `several.py` found on one device, on four and on eight."""
    done = subprocess.run(
        (sys.executable, "-m", "support.several"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def close(ours: list[dict], theirs: list[dict]) -> None:
    assert len(ours) == len(theirs) == 3
    for a, b in zip(ours, theirs, strict=True):
        assert a["learning_rate"] == b["learning_rate"]
        for split in ("train", "validation"):
            assert a[split]["loss"] == pytest.approx(b[split]["loss"], rel=1e-4)
            for count in ("correct", "top5_correct", "total"):
                assert a[split][count] == b[split][count], (split, count)


# Four replicas of TensorFlow's strategies, and eight devices on which XLA runs one program.
WITH_JAX = pytest.mark.skipif(not find_spec("jax"), reason="JAX comes with the plan set")
EIGHT = pytest.param("8 of XLA", marks=WITH_JAX)
SEVERAL = ["4", EIGHT]


@pytest.mark.parametrize(
    ("name", "how"),
    [("4", "whole"), ("4", "packed"), pytest.param("8 of XLA", "whole", marks=WITH_JAX)],
)
def test_a_whole_network_on_several_replicas_is_one_on_one(found, name, how):
    one, several = found["1"]["whole"], found[name][how]
    close(one["history"], several["history"])
    for ours, theirs in zip(one["weights"], several["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    assert one["restored"]
    assert several["restored"]


@pytest.mark.parametrize("name", SEVERAL)
def test_batchnorm_has_its_own_statistics_on_each_replica(found, name):
    one, several = (found[each]["statistics"] for each in ("1", name))
    assert one["finite"]
    assert several["finite"]
    assert np.isfinite(several["losses"]).all()
    assert one["losses"] != several["losses"]
    # Of the moving means, the mean over replicas is kept: nearly that of the whole batch.
    np.testing.assert_allclose(one["means"], several["means"], atol=1e-3)


def test_an_activation_that_is_compiled_works_on_every_replica(found):
    one, four = (found[name]["activated"] for name in "14")
    assert one == pytest.approx(four, abs=1e-6)
    assert max(one) > 1 > min(one)


@pytest.mark.parametrize("name", SEVERAL)
def test_heads_on_several_replicas_are_heads_on_one(found, name):
    one, several = (found[each]["heads"] for each in ("1", name))
    for ours, theirs in zip(one["history"], several["history"], strict=True):
        close(ours, theirs)
    np.testing.assert_allclose(one["kernels"], several["kernels"], rtol=1e-3, atol=1e-5)
    assert one["kernels"][0] != one["kernels"][1]


def test_with_the_network_in_every_step_too(found):
    one, four = (found[name]["in every step"] for name in "14")
    close(one["history"], four["history"])
    np.testing.assert_allclose(one["logits"], four["logits"], rtol=1e-3, atol=1e-4)
    assert np.std(one["logits"], axis=0).max() > 0.1, "all images look the same"


def test_every_program_is_traced_once_for_all_epochs_and_seeds(found):
    for name in "14":
        assert found[name]["heads"]["traces"] == [1, 1]


@pytest.mark.parametrize("images", [1, 127, 128, 129, 1001])
def test_evaluation_counts_every_image_once_and_in_its_place(found, images):
    for name in "14":
        counted_once(found[name]["counted"][str(images)], images)


@WITH_JAX
def test_evaluation_of_eight_counts_every_image_once_too(found):
    counted_once(found["8 of XLA"]["counted"]["1001"], 1001)


def counted_once(logits: dict, images: int) -> None:
    assert logits["images"] == list(range(images))
    assert logits["last"] == [10 * image for image in range(images)]


@pytest.mark.parametrize(
    ("name", "copies"), [("1", 1), ("4", 4), pytest.param(*EIGHT.values, 1, marks=WITH_JAX)]
)
def test_features_of_a_batch_are_divided_and_joined_in_order(found, name, copies):
    assert found[name]["extracted"]["right"]
    # A replica's program was traced once, for its part of 32 of a batch; XLA has one for all.
    assert found[name]["extracted"]["shapes"] == [[32, 32, 32, 3]] * copies


def test_every_replica_hears_what_every_host_says(found):
    told = {name: part["told"] for name, part in found.items()}
    expected = {"1": [[3, 4]], "4": [[3, 4]] * 4, "8 of XLA": [[3, 4]] * 8}
    assert told == {name: expected[name] for name in found}


# --- whole sweeps --------------------------------------------------------------------------------


def start(arguments: str, results: Path, **environment: str) -> subprocess.Popen[str]:
    words = [*SMALL.split(), *arguments.split(), "--results", str(results)]
    return subprocess.Popen(
        (*subprocesses.COMMAND, "effbench.cli.main", "sweep", *words),
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    """Waits for sweeps, not for ever: one that waits for another that is gone would."""
    try:
        for process in processes:
            said, _ = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
            process.wait()


def one(results: Path) -> RunResult:
    (result,) = Store(results).load().results
    return result


def same(ours: RunResult, theirs: RunResult) -> None:
    assert ours.images == theirs.images
    for a, b in zip(ours.history, theirs.history, strict=True):
        assert a.train.loss == pytest.approx(b.train.loss, rel=1e-4)
        assert a.validation.loss == pytest.approx(b.validation.loss, rel=1e-4)
        for x, y in ((a.train, b.train), (a.validation, b.validation)):
            assert (x.correct, x.top5_correct, x.total) == (y.correct, y.top5_correct, y.total)
    for a, b in zip(ours.selected, theirs.selected, strict=True):
        assert (a.rule, a.epoch) == (b.rule, b.epoch)
        assert a.test.loss == pytest.approx(b.test.loss, rel=1e-4)
        assert a.test.correct == b.test.correct
        assert a.test.top5_correct == b.test.top5_correct


@pytest.fixture(scope="module")
def alone_and_divided(tmp_path_factory) -> tuple[RunResult, RunResult]:
    """One run twice; 43 images are no multiple of 16 or 8."""
    folders = [tmp_path_factory.mktemp(name) for name in ("alone", "divided")]
    finish(
        *(
            start(f"--batch-size 16 {more}", folder, EFFBENCH_CACHE=str(folder / "cache"))
            for folder, more in zip(folders, ("", "--replicas 8"), strict=True)
        )
    )
    return one(folders[0]), one(folders[1])


def test_a_sweep_on_eight_replicas_comes_to_the_same(alone_and_divided):
    alone, divided = alone_and_divided
    assert (alone.provenance.replicas, divided.provenance.replicas) == (1, 8)
    assert divided.spec.key == alone.spec.key
    same(alone, divided)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def hosts(arguments: list[str], results: list[Path], cache: Path) -> list[subprocess.Popen[str]]:
    workers = [f"127.0.0.1:{port}" for port in free_ports(len(arguments))]
    return [
        start(
            each,
            folder,
            EFFBENCH_CACHE=str(cache),
            TF_CONFIG=json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            ),
        )
        for index, (each, folder) in enumerate(zip(arguments, results, strict=True))
    ]


def test_of_two_hosts_the_chief_keeps_the_record(alone_and_divided, tmp_path):
    alone, _ = alone_and_divided
    folders = [tmp_path / "chief", tmp_path / "other"]
    finish(*hosts(["--batch-size 16"] * 2, folders, tmp_path / "cache"))
    together = one(folders[0])
    assert together.provenance.replicas == 2
    assert "2 hosts" in together.provenance.device_name
    assert together.spec.key == alone.spec.key
    same(alone, together)
    assert not folders[1].exists()
    assert not (tmp_path / "cache" / "features").exists()


def test_hosts_that_would_do_different_runs_are_refused(tmp_path):
    both = hosts(
        ["--batch-size 16 --seeds 0", "--batch-size 16 --seeds 1"],
        [tmp_path / "one", tmp_path / "other"],
        tmp_path / "cache",
    )
    try:
        said = [process.communicate(timeout=SECONDS)[0] for process in both]
    finally:
        for process in both:
            process.kill()
            process.wait()
    assert [process.returncode for process in both] == [1, 1]
    assert all("all hosts must do the same runs: here B0-none" in text for text in said)
    assert not [*tmp_path.rglob("record.json"), *tmp_path.rglob("failure.json")]


# --- what a TPU needs of a program ---------------------------------------------------------------


def test_every_op_lowers_and_every_shape_is_static():
    """By XLA's lowering for the CPU, which lacks a few ops of the TPU's and the reverse.

    The whole step of training, backbone included, and the logits, as on a TPU: bfloat16.
    """
    device = devices.connect("cpu")
    try:
        model = backbone.build(VARIANTS["B0"], 32, "mixed_bfloat16")
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    images = np.zeros((40, 32, 32, 3), np.uint8)

    def looked(batch: int) -> evaluate.Lookup:
        return lookups.gathered(
            images, device.layout, backbone.forward(model, 32, "torch", batch, 1)
        )

    evaluator = Evaluator(looked(evaluate.BATCH), 40, device.layout)
    labels = np.zeros(40, np.uint8)
    task = head_step.HeadTask(looked(16), labels, evaluator, labels, 1280, device.layout)
    trainer = head_step.HeadTrainer(task, replace(RECIPES["case-study"], batch_size=16))
    integers = tf.zeros(16, tf.int32)
    programs = (
        (trainer.step, (integers, integers, tf.zeros(16), tf.zeros(2, tf.int32))),
        (
            evaluator.share,
            (tf.zeros((1, 128), tf.int32), tf.zeros((3, 1280, 10)), tf.zeros((3, 10))),
        ),
    )
    for program, inputs in programs:
        compiled = tf.function(program, jit_compile=True)
        hlo = compiled.experimental_get_compiler_ir(*inputs)(stage="hlo")
        assert "convolution" in hlo
        assert "u8[40,3072]" in hlo, "images are not uint8, as they came"
        assert "set-dimension-size" not in hlo
        assert "<=" not in hlo, "a shape is dynamic"
