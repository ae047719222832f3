"""How many devices XLA drives together, as a process of its own says."""

import pytest

pytest.importorskip("jax", reason="JAX comes with the plan set")

from effbench.engines import xla_devices
from effbench.errors import DeviceError


def test_devices_are_counted():
    assert xla_devices.count("cpu") == 1


def test_what_jax_does_not_see_is_one_line():
    with pytest.raises(DeviceError, match=r"JAX cannot use the GPU: .*; check the driver") as error:
        xla_devices.count("gpu")
    assert "\n" not in str(error.value)
