"""What `pjrt` relies on: an interface that JAX keeps to itself, as the pinned version has it."""

import subprocess
import sys

import numpy as np
import pytest

pjrt = pytest.importorskip("effbench.engines.pjrt", reason="JAX comes with the plan set")

# What replaces the state is the sum, and the first result adds that up: over all replicas.
TEXT = """
module @m {
  func.func public @main(
    %added: tensor<4xf32>, %state: tensor<4xf32> {tf.aliasing_output = 1 : i32}
  ) -> (tensor<f32>, tensor<4xf32>) {
    %sum = stablehlo.add %added, %state : tensor<4xf32>
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %total = stablehlo.reduce(%sum init: %zero) applies stablehlo.add across dimensions = [0]
      : (tensor<4xf32>, tensor<f32>) -> tensor<f32>
    return %total, %sum : tensor<f32>, tensor<4xf32>
  }
}
"""


def programs():
    replicas = pjrt.Replicas(pjrt.devices("cpu"))
    compiled = pjrt.compiled(TEXT, replicas)
    yield replicas, compiled
    yield replicas, pjrt.deserialized(pjrt.serialized(compiled), replicas)


def check():
    for replicas, program in programs():
        added = replicas.put(np.arange(4, dtype=np.float32))
        state = replicas.put(np.ones(4, np.float32))
        total, later = program([added, state])
        assert np.asarray(total) == 10
        assert state.is_deleted()
        assert not added.is_deleted()
        total, later = program([added, later])
        assert np.asarray(total) == 16
        assert [np.asarray(shard.data).tolist() for shard in later.addressable_shards] == [
            [1, 3, 5, 7]
        ] * len(replicas.devices)
        assert program.working_memory >= 0


def test_state_that_goes_in_is_given_up_for_what_comes_out():
    check()


def test_several_devices_run_one_program():
    """In a process of its own: the number of devices is fixed when JAX starts."""
    code = "from engines import test_pjrt as t; t.check(); print(len(t.pjrt.devices('cpu')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(__import__("os").environ, XLA_FLAGS="--xla_force_host_platform_device_count=4")
        | {"PYTHONPATH": __import__("os").pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["4"], done.stderr
