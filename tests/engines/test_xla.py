"""Programs through XLA and PJRT give what TensorFlow gives."""

from dataclasses import replace

import numpy as np
import pytest
from support import tiny

pytest.importorskip("jax", reason="JAX comes with the plan set")

import jax

from effbench.config.recipes import RECIPES
from effbench.config.schedule import split
from effbench.engines import lowering, pjrt
from effbench.engines.engine import TensorflowEngine
from effbench.engines.xla import XlaEngine
from effbench.errors import DeviceError, DeviceLostError
from effbench.hardware.tensorflow_setup import tf
from effbench.models import preprocessing
from effbench.training.evaluate import Evaluator
from effbench.training.heads import head_step, head_training


@pytest.fixture(scope="module", autouse=True)
def _as_users_have_it(tmp_path_factory):
    """Programs are optimized here, which other tests do without."""
    plain = pjrt._options

    def optimized(replicas):
        options = plain(replicas)
        options.env_option_overrides = [("xla_backend_optimization_level", 3)]
        return options

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(pjrt, "_options", optimized)
        yield


@pytest.fixture(scope="module")
def xla():
    return XlaEngine("cpu")


def counted(engine):
    """A program that changes one of two variables of one shape, beside an array of that shape."""
    fixed, counter = tf.Variable([1.0, 2.0]), tf.Variable([0.0, 0.0])
    array = tf.constant([10.0, 20.0])

    def add(x):
        counter.assign_add(x * fixed + array)
        return tf.reduce_sum(counter), counter + 1

    return engine.compile(add), fixed, counter


def test_what_a_program_assigns_is_kept_until_it_is_settled(xla):
    program, fixed, counter = counted(xla)
    total, later = program(np.ones(2, np.float32))
    assert (total, later.tolist()) == (33, [12, 23])
    assert program(np.ones(2, np.float32))[0] == 66
    assert counter.numpy().tolist() == [0, 0]
    xla.settle()
    assert counter.numpy().tolist() == [22, 44]
    assert fixed.numpy().tolist() == [1, 2]
    assert program(np.ones(2, np.float32))[0] == 99
    assert counter.numpy().tolist() == [22, 44]


def test_an_assignment_is_seen_once_the_engine_is_told(xla):
    program, fixed, counter = counted(xla)
    program(np.ones(2, np.float32))
    counter.assign([0, 0])
    fixed.assign([0, 0])
    xla.refresh([counter, fixed])
    assert program(np.ones(2, np.float32))[0] == 30


def test_programs_share_their_variables(xla):
    variable = tf.Variable(1.0)
    add = xla.compile(lambda x: variable.assign_add(x) + 1)
    look = xla.compile(lambda x: x * variable)
    add(np.float32(2))
    assert look(np.float32(5)) == [15]


def test_a_loop_stops_at_what_is_not_finite(xla):
    for engine in (xla, TensorflowEngine()):
        loop = engine.loop(lambda x: (1 / x, tf.stack([x, x])))
        first, second = loop(np.array([1, 2, 0, 4], np.float32))
        assert first[:2].tolist() == [1, 0.5]
        assert np.isinf(first[2])
        assert (first[3], second[3].tolist()) == (0, [0, 0])
        assert second[1].tolist() == [2, 2]


def test_float32_may_not_be_rounded_on_the_way():
    square = tf.TensorSpec((8, 8))
    lowered = lowering.lower(lambda x, y: tf.matmul(x, y) + 1, [square, square])
    exact = lowering.in_full_float32(lowered.text)
    assert "HIGHEST" in exact
    assert "DEFAULT" not in exact


def test_a_program_is_compiled_once_for_all_processes(xla, monkeypatch):
    from effbench.engines import compiled_programs, kept_programs, pjrt

    program, *_ = counted(xla)
    program(np.ones(2, np.float32))
    monkeypatch.setattr(compiled_programs.pjrt, "compiled", None)
    again, *_ = counted(XlaEngine("cpu"))
    assert again(np.ones(2, np.float32))[0] == 33
    monkeypatch.undo()
    for path in compiled_programs.cache.programs().iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    said = []
    once_more, *_ = counted(XlaEngine("cpu", report=said.append))
    assert once_more(np.ones(2, np.float32))[0] == 33
    assert said == [kept_programs.DAMAGED]
    monkeypatch.setattr(kept_programs.cpu, "instructions", lambda: "others")
    elsewhere, *_ = counted(XlaEngine("cpu", report=said.append))
    assert elsewhere(np.ones(2, np.float32))[0] == 33
    assert said == [kept_programs.DAMAGED, kept_programs.ELSEWHERE]
    assert pjrt.devices("cpu")


def steps(engine, device):
    recipe = replace(tiny.RECIPE, stages=1)
    task = tiny.task(recipe, engine=engine, device=device)
    made = tiny.trainer(task)
    stage = split(recipe, tiny.SIZE)[-1]
    order = np.arange(64, dtype=np.int32).reshape(4, 16)
    parts = [made.run(stage, order, 0, 1, 0), made.run(stage, order, 1, 4, 1)]
    return made, sum(losses for losses, _ in parts), sum(right for _, right in parts)


def test_steps_of_a_network_are_those_of_tensorflow(xla):
    made, losses, right = steps(xla, "gpu")
    reference, expected, hits = steps(TensorflowEngine(), "cpu")
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert right.tolist() == hits.tolist()
    for ours, theirs in zip(made.state(), reference.state(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    assert made.learning_rate() == reference.learning_rate()
    saved = made.state()
    with made.using([np.zeros_like(array) for array in made.weights()]):
        assert not made.weights()[0].any() or made._update._average
    for ours, before in zip(made.state(), saved, strict=True):
        np.testing.assert_array_equal(ours, before)


def test_heads_and_their_evaluation_are_those_of_tensorflow(xla):
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 10
    features = (generator.normal(size=(200, 32)) + np.eye(32)[labels]).astype(np.float32)
    held = tf.constant(features)
    recipe = replace(RECIPES["case-study"], epochs=3, batch_size=64)

    def head(engine):
        def lookup(positions):
            return tf.gather(held, positions)

        evaluator = Evaluator(lookup, 200, engine=engine)
        task = head_step.HeadTask(lookup, labels, evaluator, labels, 32, engine=engine)
        (trained,) = head_training.train(task, recipe, [0], 1, lambda step: None)
        return trained

    ours, theirs = head(xla), head(TensorflowEngine())
    for epoch, expected in zip(ours.history, theirs.history, strict=True):
        assert epoch.validation.correct == expected.validation.correct
        assert epoch.validation.loss == pytest.approx(expected.validation.loss, rel=1e-4)
        assert epoch.learning_rate == expected.learning_rate


def test_a_lack_of_memory_is_told_as_one(xla, monkeypatch):
    program, *_ = counted(xla)
    message = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nmore"

    def fail(*_):
        raise jax.errors.JaxRuntimeError(message)

    monkeypatch.setattr(xla, "_compiled", fail)
    with pytest.raises(MemoryError, match="RESOURCE_EXHAUSTED: Out of memory while") as raised:
        program(np.ones(2, np.float32))
    assert "more" not in str(raised.value)
    message = "INTERNAL: a fault of the program"
    with pytest.raises(jax.errors.JaxRuntimeError, match="a fault"):
        program(np.ones(2, np.float32))


@pytest.mark.parametrize(
    "message",
    [
        "UNAVAILABLE: the TPU was preempted\nmore",
        "INTERNAL: Accelerator device halted prematurely",
        "INTERNAL: Failed to launch CUDA kernel: CUDA_ERROR_UNKNOWN: unknown error",
    ],
)
def test_a_device_that_is_lost_in_a_step_is_the_failure_of_its_run(xla, monkeypatch, message):
    made, *_ = steps(xla, "gpu")

    def lose(*_):
        raise jax.errors.JaxRuntimeError(message)

    monkeypatch.setattr(pjrt.Executable, "__call__", lose)
    stage = split(replace(tiny.RECIPE, stages=1), tiny.SIZE)[-1]
    order = np.arange(16, dtype=np.int32).reshape(1, 16)
    with pytest.raises(DeviceLostError, match="lost in a program: ") as raised:
        made.run(stage, order, 0, 1, 4)
    assert "\n" not in str(raised.value)
    handling = raised.value.kind.handling
    assert handling.retried
    assert not handling.fatal, "the sweep goes on with other runs"


def test_a_device_that_jax_does_not_see_is_one_line():
    with pytest.raises(DeviceError, match="JAX cannot use the GPU: ") as raised:
        XlaEngine("gpu")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("size", [96, 224])
def test_on_the_cpu_too_images_are_resized_as_tensorflow_does(xla, size):
    """XLA's own version of that op is wrong to three or seven times the size."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)

    def prepared(images):
        return preprocessing.prepare(images, size, "tf", "cpu")

    (resized,) = xla.compile(prepared)(images)
    np.testing.assert_allclose(resized, prepared(tf.constant(images)), atol=1e-4)
