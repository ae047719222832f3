"""Devices: what is there can be used, what is not is one clear error."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from effbench.errors import DeviceError
from effbench.hardware import devices, machine, tpu

FRESH = """
import json
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import tf
device = devices.connect("cpu")
with device.layout.scope():
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
from effbench.hardware import devices
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


def test_kernels_of_a_network_that_trains_share_the_cores():
    found = json.loads(run(FRESH.replace('connect("cpu")', 'connect("cpu", beside=False)')))
    cores = len(os.sched_getaffinity(0))
    assert (found["intra"], found["inter"]) == (cores, cores)
    assert found["threads"] == 1 or cores == 1


def test_the_cpu_can_be_connected_after_tensorflow_started():
    from effbench.hardware.tensorflow_setup import tf

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


@dataclass
class Resolver:
    name: str


@pytest.fixture
def tpu_of(monkeypatch) -> list[object]:
    """A TensorFlow with a TPU of two cores, as far as `connect` goes; lists what is done to it."""
    from effbench.hardware.tensorflow_setup import tf

    done: list[object] = []

    def resolve(name: str) -> Resolver:
        if name == "nowhere":
            raise ValueError("Could not lookup TPU metadata\nand much more")
        return Resolver(name)

    class Strategy:
        num_replicas_in_sync = 2

        def __init__(self, resolver: Resolver) -> None:
            done.append(("strategy", resolver.name))

    def noted(what: str):
        return lambda resolver: done.append((what, resolver.name))

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolve)
    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", noted("connect"))
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", noted("initialize"))
    monkeypatch.setattr(tf.distribute, "TPUStrategy", Strategy)
    return done


@pytest.mark.parametrize("name", ["local", "a-pod", "grpc://10.0.0.2:8470"])
def test_a_tpu_is_connected_to_initialized_once_and_used_whole(name, tpu_of, monkeypatch):
    chips = tpu.Chips(1, tpu.GENERATIONS[1])
    monkeypatch.setattr(tpu, "chips", lambda: chips)
    device = devices.connect("tpu", tpu_name=name)
    assert tpu_of == [("connect", name), ("initialize", name), ("strategy", name)]
    assert (device.kind, device.replicas, device.threads, device.hosts) == ("tpu", 2, 1, 1)
    assert device.name == (str(chips) if name == "local" else f"TPU {name}")


def test_the_machines_own_tpu_is_the_default(tpu_of, monkeypatch):
    monkeypatch.setattr(tpu, "chips", lambda: tpu.Chips(4, None))
    assert devices.connect("tpu").name == "TPU of an unknown generation, 4 chips"
    assert tpu_of[0] == ("connect", "local")


def test_a_name_that_leads_nowhere_is_one_line(tpu_of):
    with pytest.raises(DeviceError) as caught:
        devices.connect("tpu", tpu_name="nowhere")
    line = str(caught.value)
    assert line.startswith("TensorFlow cannot connect to the TPU nowhere: Could not lookup TPU m")
    assert line.endswith("with --tpu-name")
    assert "much more" not in line
    assert tpu_of == []


@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_a_flag_for_hardware_that_is_not_there_fails_without_tensorflow(kind, monkeypatch):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    monkeypatch.setattr(machine, "has_tpu", lambda: False)
    with pytest.raises(DeviceError, match=f"--{kind} needs"):
        machine.device(kind)
    assert machine.device("auto") == "cpu"


def test_a_cpu_that_an_engine_drives_keeps_its_name():
    assert devices.driven("cpu", "cpu", 1).name == machine.cpu_name()
    assert devices.driven("cpu", "cpu", 8).name == f"8 x {machine.cpu_name()}"
    assert devices.driven("gpu", "NVIDIA H100", 2).name == "2 x NVIDIA H100"
