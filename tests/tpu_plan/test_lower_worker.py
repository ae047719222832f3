"""Programs as text: variables are arguments, the same program is the same text."""

import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jax", reason="the extra of effbench plan is not installed")

from effbench.hardware.tensorflow_setup import tf
from effbench.tpu_plan import lower_worker
from effbench.tpu_plan.programs import Program


def scaled(values: np.ndarray) -> Program:
    held = tf.Variable(values)

    def function(rows: tf.Tensor) -> tf.Tensor:
        held.assign_add(tf.ones_like(held))
        return tf.gather(held, rows) * 2.0

    return Program("scaled", function, (tf.TensorSpec((4,), tf.int32),), 4, 1)


def looped() -> Program:
    def function(rows: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(lambda row: row * 2.0, rows)

    return Program("looped", function, (tf.TensorSpec((4, 3)),), 4, 1)


def test_variables_are_arguments_and_are_written_in_place():
    text = lower_worker.stablehlo(scaled(np.zeros((1000, 8), np.float32)))
    (main,) = re.findall(r"func\.func (?:public )?@main\((.*)\n", text)
    assert "tensor<4xi32>" in main
    assert "tensor<1000x8xf32>" in main
    assert "input_output_alias" in text or "tf.aliasing_output" in text


def test_nothing_is_left_that_the_compiler_does_not_take():
    assert "mhlo.copy" not in lower_worker.stablehlo(scaled(np.zeros((10, 8), np.float32)))


def test_the_same_program_is_the_same_text_and_another_is_not():
    values = np.zeros((10, 8), np.float32)
    first = lower_worker.stablehlo(scaled(values))
    assert first == lower_worker.stablehlo(scaled(values + 1))
    assert first != lower_worker.stablehlo(scaled(np.zeros((11, 8), np.float32)))


def test_a_loop_needs_its_body_by_itself(tmp_path):
    with pytest.raises(ValueError, match="a loop, and only that, needs its body by itself"):
        lower_worker._lower(looped(), tmp_path)
    body = scaled(np.zeros((4, 2), np.float32))
    with pytest.raises(ValueError, match="a loop, and only that"):
        lower_worker._lower(replace(body, body=body), tmp_path)
    kept = lower_worker._lower(replace(looped(), body=body, turns=4), tmp_path)
    assert {kept.program, kept.body} == {path.name for path in tmp_path.iterdir()}
    assert kept.turns == 4
