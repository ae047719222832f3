import os
import shutil
from pathlib import Path

import pytest

from effbench import cpu
from effbench.errors import DeviceError
from effbench.hardware import machine, tpu


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A file system of another machine, with neither accelerator nor nvidia-smi at first."""
    for module in (machine, tpu):
        monkeypatch.setattr(module, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    for folder in ("dev", "proc", "sys/bus/pci/devices"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def plug(root: Path, slot: str, vendor: str, kind: str) -> None:
    place = root / "sys/bus/pci/devices" / slot
    place.mkdir()
    (place / "vendor").write_text(f"{vendor}\n")
    (place / "class").write_text(f"{kind}\n")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_machine_with_nothing(root):
    assert not machine.has_tpu()
    assert not machine.has_gpu()
    assert machine.device("auto") == machine.device("cpu") == "cpu"


@pytest.mark.parametrize("kind", ["0xff0000", "0x120000", "0x088000"])
def test_a_chip_of_google_is_a_tpu(root, kind):
    plug(root, "0000:00:03.0", "0x8086", "0x060000")
    plug(root, "0000:00:04.0", "0x1ae0", kind)
    assert machine.has_tpu()
    assert machine.device("auto") == machine.device("tpu") == "tpu"


@pytest.mark.parametrize("kind", ["0x020000", "0x010802", "0x010000"])
def test_a_network_card_or_disk_of_google_is_none(root, kind):
    plug(root, "0000:00:04.0", "0x1ae0", kind)
    assert not machine.has_tpu()


def test_a_device_file_is_a_tpu(root):
    touch(root, "dev/accel0")
    assert machine.has_tpu()


def test_the_kernels_directory_of_other_accelerators_is_none(root):
    touch(root, "dev/accel/accel0", "dev/nvidiactl", "dev/nvidia-uvm")
    assert not machine.has_tpu()
    assert not machine.has_gpu()


def test_a_gpu_by_its_device_or_its_driver(root, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert machine.has_gpu()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not machine.has_gpu()
    touch(root, "dev/nvidia0")
    assert machine.has_gpu()
    assert machine.device("auto") == machine.device("gpu") == "gpu"


def test_the_best_device_is_the_default_and_the_others_can_be_had(root):
    touch(root, "dev/nvidia0", "dev/accel0")
    assert machine.device("auto") == "tpu"
    assert [machine.device(kind) for kind in ("tpu", "gpu", "cpu")] == ["tpu", "gpu", "cpu"]


@pytest.mark.parametrize(("kind", "what"), [("tpu", "a TPU"), ("gpu", "an NVIDIA GPU")])
def test_a_device_that_is_not_there_is_one_line(root, kind, what):
    with pytest.raises(DeviceError) as caught:
        machine.device(kind)
    line = str(caught.value)
    assert line.startswith(f"--{kind} needs {what}: no ")
    assert line.endswith("use --cpu")
    assert "\n" not in line


def test_a_tpu_with_a_name_may_be_elsewhere(root):
    assert machine.device("tpu", "pod") == "tpu"
    assert machine.device("auto", "pod") == "tpu"


def test_no_chip_and_no_build_are_different_mistakes(root, monkeypatch):
    lines = {}
    for build in (False, True):
        monkeypatch.setattr(tpu, "build", lambda build=build: build)
        with pytest.raises(DeviceError) as caught:
            machine.device("tpu")
        lines[build] = str(caught.value)
    assert "TensorFlow without TPU support; install the tpu set" in lines[False]
    assert "TPU build of TensorFlow, no TPU chip found" in lines[True]
    assert "install" not in lines[True]


def test_the_processors_own_name(root, monkeypatch):
    cores = f", {cpu.cores()} cores"
    assert machine.cpu_name().endswith(cores)
    (root / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\n" * 2)
    assert machine.cpu_name() == f"Some CPU @ 2 GHz{cores}"
    (root / "proc/cpuinfo").write_text("processor : 0\nFeatures : fp asimd\n")
    assert len(machine.cpu_name()) > len(cores)
    monkeypatch.setattr(cpu, "cores", lambda: 1)
    assert machine.cpu_name().endswith(", 1 core")


def test_cores_are_those_this_process_may_use():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system does not say which cores a process may use")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpu.cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cpu.cores() == len(before)


@pytest.mark.parametrize(
    ("wanted", "device", "expected"),
    [
        ("auto", "tpu", "mixed_bfloat16"),
        ("auto", "gpu", "mixed_bfloat16"),
        ("auto", "cpu", "float32"),
        ("float32", "tpu", "float32"),
        ("mixed_bfloat16", "cpu", "mixed_bfloat16"),
    ],
)
def test_precision(wanted, device, expected):
    assert machine.precision(wanted, device) == expected
