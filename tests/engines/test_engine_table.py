"""Which engine a run gets, and what is said where it cannot have the one it asks for."""

import pytest

from effbench.engines import engine_table, examination
from effbench.engines.engine_table import AUTO, ENGINES
from effbench.errors import DeviceError, UsageError
from effbench.hardware import machine, tpu


@pytest.fixture
def packages(monkeypatch):
    """What is installed besides TensorFlow, for a test to fill."""
    there: set[str] = set()
    monkeypatch.setattr(engine_table, "find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr(tpu, "build", lambda: "tensorflow-tpu" in there)
    return there


@pytest.mark.parametrize(
    ("kind", "installed", "frozen", "trained"),
    [
        ("cpu", (), "tensorflow", "tensorflow"),
        ("cpu", ("openvino", "jax"), "openvino", "tensorflow"),
        ("cpu", ("openvino", "onnxruntime"), "openvino", "tensorflow"),
        ("cpu", ("onnxruntime",), "onnxruntime", "tensorflow"),
        ("gpu", ("openvino", "jax"), "tensorflow", "tensorflow"),
        ("gpu", ("jax", "jax_cuda13_plugin"), "xla", "xla"),
        ("tpu", ("jax", "libtpu"), "xla", "xla"),
        ("tpu", ("jax", "libtpu", "tensorflow-tpu"), "tensorflow", "tensorflow"),
        ("tpu", (), "tensorflow", "tensorflow"),
    ],
)
def test_auto_takes_the_first_that_can(packages, kind, installed, frozen, trained):
    packages.update(installed)
    assert engine_table.choose(AUTO, kind, frozen_backbone=True).name == frozen
    assert engine_table.choose(AUTO, kind, frozen_backbone=False).name == trained


@pytest.mark.parametrize(
    ("name", "kind", "frozen", "error", "words"),
    [
        (
            "jax",
            "cpu",
            True,
            UsageError,
            "unknown engine: jax; choose from auto, onnxruntime, openvino, xla",
        ),
        ("openvino", "cpu", True, DeviceError, "no package openvino; make setup installs it"),
        ("openvino", "gpu", True, DeviceError, "it does not run on a GPU; leave --engine out"),
        ("xla", "gpu", True, DeviceError, "no jax with jax_cuda12_plugin or jax_cuda13_plugin"),
        ("tensorflow", "tpu", True, DeviceError, "TensorFlow without TPU support"),
    ],
)
def test_an_engine_that_is_not_there_is_one_line(packages, name, kind, frozen, error, words):
    with pytest.raises(error, match=words.replace(".", r"\.")) as raised:
        engine_table.choose(name, kind, frozen)
    assert "\n" not in str(raised.value)


def test_openvino_trains_no_network(packages):
    packages.add("openvino")
    with pytest.raises(UsageError, match="--engine openvino runs frozen backbones"):
        engine_table.choose("openvino", "cpu", frozen_backbone=False)


def test_doctor_says_which_are_there(packages, monkeypatch):
    monkeypatch.setattr(machine, "device", lambda wanted: "cpu")
    packages.add("openvino")
    checks = {check.name: check for check in examination.examine()}
    assert list(checks) == [f"engine {name}" for name in ENGINES]
    assert all(check.good for check in checks.values())
    assert checks["engine openvino"].text.startswith("what auto takes for frozen backbones")
    assert checks["engine tensorflow"].text == "what auto takes"
    assert "no package jax" in checks["engine xla"].text
