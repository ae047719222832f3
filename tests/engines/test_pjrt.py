"""What `pjrt` relies on: an interface that JAX keeps to itself, as the pinned version has it."""

import os
import subprocess
import sys
from types import SimpleNamespace

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


def programs(count):
    replicas = pjrt.Replicas(pjrt.devices("cpu", count))
    assert len(replicas.devices) == count
    compiled = pjrt.compiled(TEXT, replicas)
    yield replicas, compiled
    yield replicas, pjrt.deserialized(pjrt.serialized(compiled), replicas)


def check(count):
    for replicas, program in programs(count):
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
    check(1)


def test_several_devices_run_one_program():
    """In a process of its own: the number of devices is fixed when JAX starts."""
    code = "from engines import test_pjrt; test_pjrt.check(4)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_devices_have_each_their_own_is_averaged():
    devices = pjrt.devices("cpu")
    array = pjrt.Replicas(devices).put(np.array([1, 2], np.float32))
    assert pjrt.mean(array).tolist() == [1, 2]

    parts = [SimpleNamespace(data=np.full(2, value, np.float32)) for value in (1, 4)]
    averaged = pjrt.mean(SimpleNamespace(addressable_shards=parts))
    assert (averaged.tolist(), averaged.dtype) == ([2.5, 2.5], np.float32)
