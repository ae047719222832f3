"""Chips, names and the environment of a TPU, on machines that are made of files."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from effbench.hardware import tpu


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A file system of another machine, without chips at first, and an environment without TPU."""
    monkeypatch.setattr(tpu, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    for folder in ("dev", "sys/bus/pci/devices"):
        (tmp_path / folder).mkdir(parents=True)
    for name in (
        "KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS",
        "TPU_NAME",
        "COLAB_TPU_ADDR",
        "TPU_LOAD_LIBRARY",
        "EFFBENCH_TPU",
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def plug(root: Path, count: int, device: str, subsystem: str) -> None:
    for slot in range(count):
        place = root / "sys/bus/pci/devices" / f"0000:00:{slot:02x}.0"
        place.mkdir()
        texts = {
            "vendor": "0x1ae0",
            "class": "0x088000",
            "device": device,
            "subsystem_device": subsystem,
        }
        for name, text in texts.items():
            (place / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("device", "subsystem", "count", "text"),
    [
        ("0x0027", "0x004e", 4, "TPU v2, 4 chips, 8 cores, 8 GiB of HBM a replica"),
        ("0x0027", "0x004f", 4, "TPU v3, 4 chips, 8 cores, 16 GiB of HBM a replica"),
        ("0x005e", "0x0000", 4, "TPU v4, 4 chips, 8 cores, 32 GiB of HBM a replica"),
        ("0x0063", "0x0000", 8, "TPU v5e, 8 chips, 8 cores, 16 GiB of HBM a replica"),
        ("0x0063", "0x0000", 1, "TPU v5e, 1 chip, 1 core, 16 GiB of HBM a replica"),
        ("0x0062", "0x0000", 4, "TPU v5p, 4 chips, 8 cores, 95 GiB of HBM a replica"),
        ("0x006f", "0x0000", 8, "TPU v6e, 8 chips, 8 cores, 32 GiB of HBM a replica"),
        ("0x0099", "0x0000", 2, "TPU of an unknown generation, 2 chips"),
        ("0x0027", "0x0000", 2, "TPU of an unknown generation, 2 chips"),
    ],
)
def test_chips_say_what_they_are(root, device, subsystem, count, text):
    assert tpu.chips() is None
    plug(root, count, device, subsystem)
    assert str(tpu.chips()) == text


def test_device_files_alone_are_chips_of_some_generation(root):
    for number in range(4):
        (root / "dev" / f"accel{number}").touch()
    assert str(tpu.chips()) == "TPU of an unknown generation, 4 chips"


@pytest.mark.parametrize(
    ("given", "environment", "name"),
    [
        (None, {}, ""),
        ("mine", {}, "mine"),
        ("mine", {"TPU_NAME": "other"}, "mine"),
        (None, {"TPU_NAME": "node-1"}, "node-1"),
        (None, {"TPU_NAME": ""}, ""),
        (None, {"TPU_NAME": "local"}, "local"),
        (None, {"COLAB_TPU_ADDR": "10.0.0.2:8470"}, "grpc://10.0.0.2:8470"),
        (None, {"COLAB_TPU_ADDR": "grpc://10.0.0.2:8470"}, "grpc://10.0.0.2:8470"),
        (
            None,
            {"KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS": "grpc://10.0.0.3:8470", "TPU_NAME": "x"},
            "grpc://10.0.0.3:8470",
        ),
    ],
)
def test_the_name_is_given_or_the_environments(root, monkeypatch, given, environment, name):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert tpu.named(given) == name


def test_libtpu_is_only_loaded_by_a_process_that_is_to_use_the_chips(root, monkeypatch):
    never = {"TPU_LOAD_LIBRARY": "0"}
    assert tpu.environment() == never
    plug(root, 4, "0x0027", "0x004f")
    assert tpu.environment() == never
    # What a process that must not load it has set for itself is not handed on.
    monkeypatch.setenv("TPU_LOAD_LIBRARY", "0")
    child = tpu.for_child("local")
    assert "TPU_LOAD_LIBRARY" not in child
    for name, expected in (("local", {}), ("pod", never), ("", never)):
        monkeypatch.setenv("EFFBENCH_TPU", tpu.for_child(name)["EFFBENCH_TPU"])
        assert tpu.environment() == expected


def test_newer_generations_run_on_pjrt(root, monkeypatch):
    plug(root, 8, "0x0063", "0x0000")
    monkeypatch.setenv("EFFBENCH_TPU", "local")
    spec = SimpleNamespace(origin="/site/libtpu/__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    monkeypatch.setattr(tpu, "Path", lambda path: _under(root, str(path)))
    assert tpu.environment() == {
        "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
        "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/site/libtpu/libtpu.so",
        "PJRT_DEVICE": "TPU",
    }


def _under(root: Path, path: str) -> Path:
    return Path(path) if path.startswith("/site") else root / path.lstrip("/")
