"""Small arrays in a row: what comes out is what comes out of variables one by one."""

from dataclasses import replace

import numpy as np
import pytest
from support import tiny

from effbench.config import schedule
from effbench.config.recipes import RECIPES
from effbench.hardware.tensorflow_setup import tf
from effbench.training import variable_packing
from effbench.training.fine_tuning import fine_tune_step

SHAPES = [(3,), (2, 3), (), (4, 1, 2), (5,)]


def arrays() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(size=shape).astype(np.float32) for shape in SHAPES]


def test_the_large_stay_and_the_small_become_one_row():
    variables = [tf.Variable(array) for array in arrays()]
    *large, row = variable_packing.pack(variables)
    assert large[0] is variables[1]
    assert large[1] is variables[3]
    assert len(large) == 2
    expected = [*arrays()[0], arrays()[2], *arrays()[4]]
    np.testing.assert_array_equal(row, expected)


def test_unpack_undoes_pack():
    variables = [tf.Variable(array) for array in arrays()]
    found = variable_packing.unpack(variable_packing.pack(variables), variables)
    for ours, theirs in zip(found, arrays(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def trained(monkeypatch: pytest.MonkeyPatch, recipe, most: int) -> fine_tune_step.NetworkTrainer:
    """After three steps as on a TPU, which packs more than so many variables."""
    monkeypatch.setattr(variable_packing, "MOST", most)
    task = tiny.task(recipe, device="tpu")
    made = tiny.trainer(task)
    order = np.arange(48, dtype=np.int32).reshape(3, 16)
    (stage,) = schedule.split(recipe, tiny.SIZE)
    made.run(stage, order, 0, 3, 0)
    return made


@pytest.mark.parametrize(
    "recipe",
    [
        replace(tiny.RECIPE, stages=1, weight_decay=0.1),
        replace(
            tiny.RECIPE,
            stages=1,
            optimizer="adabelief",
            schedule="triangular2",
            half_cycle_epochs=2,
            weight_decay=0.1,
            ema_decay=0.0,
        ),
        replace(tiny.RECIPE, stages=1, optimizer="adamw", weight_decay=0.1, layer_decay=0.7),
    ],
    ids=["rmsprop, average", "adabelief", "layer-wise decay"],
)
def test_a_packed_training_is_the_same_bit_for_bit(monkeypatch, recipe):
    packed, plain = (trained(monkeypatch, recipe, most) for most in (0, 1000))
    assert len(packed.variables) < len(plain.variables)
    start = tiny.trainer(tiny.task(recipe))
    for ours, theirs, before in zip(
        packed.weights(), plain.weights(), start.weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
        assert not np.array_equal(ours, before)
    for ours, theirs in zip(packed._network, plain._network, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_packed_training_goes_on_from_its_state(monkeypatch):
    recipe = replace(tiny.RECIPE, stages=1)
    made = trained(monkeypatch, recipe, 0)
    other = tiny.trainer(tiny.task(recipe, device="tpu"))
    other.restore(made.state())
    order = np.arange(64, dtype=np.int32).reshape(4, 16)
    (stage,) = schedule.split(recipe, tiny.SIZE)
    for each in (made, other):
        each.run(stage, order, 3, 4, 3)
    for ours, theirs in zip(other.weights(), made.weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["finetune", "progressive"])
def test_what_has_few_variables_is_not_packed(name):
    made = tiny.trainer(tiny.task(replace(RECIPES[name], batch_size=16), device="tpu"))
    assert made._update._optimized is made._trained
