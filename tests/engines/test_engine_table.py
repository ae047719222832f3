"""Which engine a run gets, and what is said where it cannot have the one it asks for."""

import os

import pytest
from support import children

from effbench.engines import engine_table, engine_trial, examination
from effbench.engines.engine_table import AUTO, ENGINES
from effbench.engines.engine_trial import Trial
from effbench.errors import DeviceError, EffbenchError, UsageError
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


def examined(monkeypatch, kind, trials):
    """What `doctor` says of each engine, and whether all is well with it."""

    def ask(name, _):
        if isinstance(trials[name], Exception):
            raise trials[name]
        return Trial(f"{name} 1", trials[name])

    monkeypatch.setattr(machine, "device", lambda wanted: kind)
    monkeypatch.setattr(engine_trial, "ask", ask)
    checks = examination.examine()
    assert [check.name for check in checks] == [f"engine {name}" for name in ENGINES]
    return {check.name.removeprefix("engine "): (check.text, check.good) for check in checks}


BOTH = ("float32", "mixed_bfloat16")


def test_doctor_says_which_are_there_and_what_for(packages, monkeypatch):
    packages.update(("openvino", "onnxruntime"))
    trials = {"onnxruntime": BOTH[:1], "openvino": BOTH, "tensorflow": BOTH}
    said = examined(monkeypatch, "cpu", trials)
    features = "auto takes it for features in float32 and mixed_bfloat16"
    assert said["openvino"] == (f"openvino 1; {features}", True)
    assert said["onnxruntime"] == ("onnxruntime 1; --engine onnxruntime takes it", True)
    few = "auto takes it for whole networks; for features of few images"
    assert said["tensorflow"] == (f"tensorflow 1; {few}", True)
    assert said["xla"] == ("not on this CPU: no package jax; pip install 'effbench[plan]'", True)
    packages.update(("jax", "jax_cuda12_plugin"))
    said = examined(monkeypatch, "gpu", {"xla": (*BOTH, "tensorfloat32"), "tensorflow": BOTH})
    features = "features in float32 and tensorfloat32 and mixed_bfloat16"
    assert said["xla"] == (f"xla 1; auto takes it for {features}; for whole networks", True)
    assert said["tensorflow"] == ("tensorflow 1; --engine tensorflow takes it", True)


def test_doctor_finds_an_engine_that_does_not_run_and_what_takes_its_place(packages, monkeypatch):
    packages.update(("openvino", "onnxruntime"))
    broken = DeviceError("openvino cannot be imported", "libopenvino.so", "install it again")
    trials = {"onnxruntime": BOTH[:1], "openvino": broken, "tensorflow": BOTH}
    said = examined(monkeypatch, "cpu", trials)
    assert said["openvino"] == (str(broken), False)
    assert said["onnxruntime"] == ("onnxruntime 1; auto takes it for features in float32", True)
    assert said["tensorflow"][0].endswith("features in mixed_bfloat16; for whole networks")


def test_an_engine_is_tried_in_a_process_of_its_own(monkeypatch, tmp_path):
    assert engine_trial.ask("onnxruntime", "cpu").precisions == ("float32",)
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no libonnxruntime.so')")
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    monkeypatch.setenv("PYTHONPATH", path)
    with pytest.raises(
        EffbenchError, match=r"cannot be imported: no libonnxruntime\.so; install it"
    ):
        engine_trial.ask("onnxruntime", "cpu")
    children.play(monkeypatch, "os.abort()")
    with pytest.raises(DeviceError, match="onnxruntime cannot run: ended by SIGABRT; install it"):
        engine_trial.ask("onnxruntime", "cpu")
