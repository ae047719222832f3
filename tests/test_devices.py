"""Devices: what is there can be used, what is not is one clear error."""

import json
import os
import subprocess
import sys

import pytest

from effbench import devices, machine
from effbench.errors import DeviceError

FRESH = """
import json
from effbench import devices
from effbench.backend import tf
device = devices.connect("cpu")
with tf.device(device.placement):
    place = tf.matmul(tf.ones((2, 2)), tf.ones((2, 2))).device
print(json.dumps({
    "kind": device.kind, "name": device.name, "replicas": device.replicas,
    "threads": device.threads, "place": place,
    "intra": tf.config.threading.get_intra_op_parallelism_threads(),
    "inter": tf.config.threading.get_inter_op_parallelism_threads(),
    "gpus": [gpu.name for gpu in tf.config.list_logical_devices("GPU")],
    "draws": [float(tf.random.uniform(())), float(tf.random.uniform(()))],
}))
"""

TPU = """
from effbench import devices
from effbench.errors import DeviceError
try:
    devices.connect("tpu")
except DeviceError as error:
    print("DeviceError", error)
"""


def run(code: str) -> str:
    environment = os.environ | {"TPU_SKIP_MDS_QUERY": "1"}
    done = subprocess.run(
        (sys.executable, "-c", code),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_fresh_process_computes_on_the_cpu():
    found = json.loads(run(FRESH))
    assert found["kind"] == "cpu"
    assert found["name"]
    assert found["replicas"] == 1
    assert found["threads"] == len(os.sched_getaffinity(0))
    assert found["place"].endswith("CPU:0")
    assert (found["intra"], found["inter"]) == (1, found["threads"])
    assert found["gpus"] == []
    assert found["draws"][0] != found["draws"][1]


def test_the_cpu_can_be_connected_after_tensorflow_started():
    from effbench.backend import tf

    assert tf.reduce_sum(tf.ones(3)).numpy() == 3
    first = devices.connect("cpu")
    assert first.kind == "cpu"
    assert devices.connect("cpu") == first


@pytest.mark.skipif(machine.has_gpu(), reason="there is a GPU on this machine")
def test_no_gpu_is_a_device_error():
    with pytest.raises(DeviceError, match=r"(?s)no GPU.*--cpu") as caught:
        devices.connect("gpu")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(machine.has_tpu(), reason="there is a TPU on this machine")
def test_no_tpu_is_a_device_error():
    line = run(TPU)
    assert line.startswith("DeviceError TensorFlow cannot start the TPU")
    assert "--cpu" in line


@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_a_flag_for_hardware_that_is_not_there_fails_without_tensorflow(kind, monkeypatch):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    monkeypatch.setattr(machine, "has_tpu", lambda: False)
    with pytest.raises(DeviceError, match=f"--{kind} needs"):
        machine.device(kind)
    assert machine.device("auto") == "cpu"
