"""Features of frozen backbones by ONNX Runtime and OpenVINO: TensorFlow's, or refused."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support import shallow
from support.records import spec

from effbench.config.precisions import PRECISIONS
from effbench.config.recipes import RECIPES
from effbench.config.run_spec import WeightsId
from effbench.config.variants import VARIANTS
from effbench.data import datasets
from effbench.engines import engine_table, onnxruntime, proof
from effbench.engines.engine import TENSORFLOW, TensorflowEngine
from effbench.errors import DeviceError, DeviceLostError
from effbench.hardware.devices import Device
from effbench.hardware.distribution import ALONE, OneProgram
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone
from effbench.training.features import extraction, feature_cache, frozen_backbone, measured_batch
from effbench.training.interface import Setting
from effbench.training.job import Job
from effbench.training.phases import Phases

openvino = pytest.importorskip("effbench.engines.openvino", reason="it is for x86-64 alone")


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        shallow.at_most(patch, "B0", 1)
        built = backbone.build(VARIANTS["B0"], 32, "float32")
    images = datasets.load("digits").train.pixels[:32]
    backbone.calibrate(built, 32, "torch", images)
    return built


@pytest.fixture(autouse=True)
def _policy():
    """A network of another precision sets Keras's global policy; no other test may inherit it."""
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))


def setting(said, *, choosing=False, precision="float32", engine=None):
    run = spec(
        recipe=RECIPES["linear-probe"],
        image_size=32,
        weights=WeightsId("none", "", "torch"),
        precision=precision,
    )
    job = Job((run,), Path(), None, None, "", "cpu", 0.0)
    return Setting(
        *(job, datasets.load("digits").limited(100), Device("cpu", "", 1, ALONE)),
        *(Phases(0.0), lambda step: said.append(step.phase), lambda: False),
        engine or TENSORFLOW,
        choosing,
    )


def joined(features):
    return np.concatenate(features.parts)


both = pytest.mark.parametrize(
    "engine",
    [onnxruntime.OnnxruntimeEngine("float32"), openvino.OpenvinoEngine("float32")],
    ids=lambda engine: engine.name,
)


@both
def test_features_are_those_of_tensorflow_and_have_a_cache_of_their_own(model, engine):
    said: list[str] = []
    ours = extraction.features(setting(said, engine=engine), model)
    assert (ours.engine, ours.cached) == (engine, 0)
    assert 0 < ours.difference < 1e-5
    theirs = extraction.features(setting(said), model)
    assert (theirs.difference, theirs.cached) == (None, 0)
    np.testing.assert_allclose(joined(ours), joined(theirs), rtol=1e-3, atol=1e-4)
    assert said.count(f"compare {engine.name} with TensorFlow") == 1
    again = extraction.features(setting(said, engine=engine), model)
    assert (again.cached, again.difference) == (len(joined(ours)), ours.difference)
    assert said.count(f"compare {engine.name} with TensorFlow") == 1


class Stretched(TensorflowEngine):
    """Stands for another engine on the CPU, whose features are some factor of TensorFlow's."""

    name = "stretched"
    float32_graph = True

    def __init__(self, factor):
        self.factor = factor

    def compile(self, function):
        return super().compile(lambda images: self.factor * function(images))


def test_a_network_that_takes_few_images_at_once_is_compared_on_as_many(model, monkeypatch):
    engine = openvino.OpenvinoEngine("float32")
    whole = extraction.features(setting([], engine=engine), model)
    monkeypatch.setattr(feature_cache, "batch_size", lambda *_: proof.IMAGES // 2)
    monkeypatch.setenv("EFFBENCH_CACHE", f"{extraction.cache.directory()}-empty")
    by_parts = extraction.features(setting([], engine=engine), model)
    assert by_parts.cached == 0
    assert by_parts.difference == pytest.approx(whole.difference, rel=0.1)
    np.testing.assert_allclose(joined(by_parts), joined(whole), rtol=1e-4, atol=1e-5)


def test_features_that_differ_are_refused_or_computed_by_tensorflow(model, monkeypatch):
    wrong = Stretched(1.001)
    words = r"within 0\.0001 of TensorFlow's, relative: 0\.001 on 32"
    with pytest.raises(DeviceError, match=words) as raised:
        extraction.features(setting([], engine=wrong), model)
    handling = raised.value.kind.handling
    assert handling.retried
    assert not handling.fatal, "another network may pass, and the sweep goes on"
    monkeypatch.setattr(feature_cache, "MANY_PIXELS", 10)
    said: list[str] = []
    instead = extraction.features(setting(said, choosing=True, engine=wrong), model)
    assert instead.engine is TENSORFLOW
    assert any(line.startswith("TensorFlow instead of stretched: features of") for line in said)


class Driving(TensorflowEngine):
    """Stands for one that drives devices by itself, as XLA does, and computes nonsense."""

    name = "driving"
    device = "a card"

    def compile(self, function):
        return lambda images: [np.ones((len(images), VARIANTS["B0"].width), np.float32)]


@pytest.mark.parametrize(
    ("cards", "layout"), [("a card", ALONE), ("2 x a card", OneProgram(copies=2))]
)
def test_where_a_card_computes_something_else_the_cpu_takes_its_place(
    model, cards, layout, monkeypatch
):
    monkeypatch.setattr(measured_batch, "DEVICES", ())
    said: list[str] = []

    chosen = setting(said, choosing=True, engine=Driving())
    card = replace(chosen, device=Device("gpu", cards, 1, layout))
    with layout.scope():
        instead = extraction.features(card, model)
    assert instead.device.kind == instead.outcome([], "").device.kind == "cpu"
    assert instead.device.replicas == 1
    assert instead.engine is TENSORFLOW
    assert instead.refused.startswith("driving: features of driving must be within 0.0001 of")
    assert any(line.startswith("TensorFlow instead of driving: features of") for line in said)
    there = extraction.features(setting([]), model)
    assert there.cached == len(joined(instead)), "they are the features of a CPU"
    np.testing.assert_array_equal(joined(there), joined(instead))

    def lose(_):
        raise DeviceLostError("the device was lost in a program", "UNAVAILABLE", "go on")

    monkeypatch.setattr(Driving, "compile", lambda self, function: lose)
    monkeypatch.setenv("EFFBENCH_CACHE", f"{extraction.cache.directory()}-empty")
    with pytest.raises(DeviceLostError):  # it may be there again
        extraction.features(card, model)


def test_in_bfloat16_tensorflow_takes_the_place_with_a_network_of_that_precision(
    model, monkeypatch
):
    shallow.at_most(monkeypatch, "B0", 1)
    bfloat16 = partial(setting, precision="mixed_bfloat16")
    said: list[str] = []
    instead = extraction.features(bfloat16(said, choosing=True, engine=Stretched(1.2)), model)
    assert instead.engine is TENSORFLOW
    assert any(line.startswith("TensorFlow instead of stretched: features of") for line in said)
    assert instead.refused.startswith("stretched: features of stretched must be within 0.05 of")
    asked = bfloat16([])
    own, _ = frozen_backbone.load(asked.job, asked.dataset, ALONE)
    theirs = extraction.features(asked, own)
    assert theirs.cached == len(joined(instead))
    assert proof.difference(joined(theirs), joined(extraction.features(setting([]), model))) > 1e-4


def test_auto_leaves_few_images_and_what_tensorflow_began_to_it(model, monkeypatch):
    other = Stretched(1.0)
    assert extraction.features(setting([], choosing=True, engine=other), model).engine is TENSORFLOW
    monkeypatch.setattr(feature_cache, "MANY_PIXELS", 10)
    assert extraction.features(setting([], choosing=True, engine=other), model).engine is TENSORFLOW
    monkeypatch.setenv("EFFBENCH_CACHE", f"{extraction.cache.directory()}-empty")
    assert extraction.features(setting([], choosing=True, engine=other), model).engine is other


def test_bfloat16_is_not_computed_as_something_else(monkeypatch):
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: False)
    bfloat16 = PRECISIONS["mixed_bfloat16"]
    with pytest.raises(DeviceError, match="OpenVINO computes in bfloat16 on a CPU that does: "):
        engine_table.started("openvino", "cpu", bfloat16, frozen_backbone=True)
    with pytest.raises(DeviceError, match="ONNX Runtime computes in float32 on a CPU: mixed"):
        engine_table.started("onnxruntime", "cpu", bfloat16, frozen_backbone=True)
    chosen = engine_table.started("auto", "cpu", bfloat16, frozen_backbone=True)
    assert (chosen.engine, chosen.refused) == (TENSORFLOW, "")
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: True)
    chosen = engine_table.started("auto", "cpu", bfloat16, frozen_backbone=True)
    assert chosen.row.name == "openvino"


def test_an_engine_that_cannot_be_imported_is_one_line_and_auto_goes_on(monkeypatch):
    def broken(*_):
        raise ImportError("libopenvino.so.2640: cannot open\nshared object file")

    row = replace(engine_table.ENGINES["openvino"], start=broken)
    monkeypatch.setitem(engine_table.ENGINES, "openvino", row)
    bfloat16 = PRECISIONS["mixed_bfloat16"]
    with pytest.raises(DeviceError, match=r"openvino cannot be imported: libopenvino\.so"):
        engine_table.started("openvino", "cpu", bfloat16, frozen_backbone=True)
    said = []
    chosen = engine_table.started(
        "auto", "cpu", bfloat16, frozen_backbone=True, report=lambda step: said.append(step.phase)
    )
    assert chosen.engine is TENSORFLOW
    assert chosen.refused.startswith("openvino: openvino cannot be imported: libopenvino.so")
    assert said == [f"auto passes over {chosen.refused}"]
    onnx = replace(engine_table.ENGINES["onnxruntime"], start=broken)
    monkeypatch.setitem(engine_table.ENGINES, "onnxruntime", onnx)
    both = engine_table.started("auto", "cpu", PRECISIONS["float32"], frozen_backbone=True)
    assert [name.split(":")[0] for name in both.refused.split("; ")] == ["openvino", "onnxruntime"]


def test_an_engine_that_is_broken_is_no_loss_where_few_images_go_to_tensorflow(model, monkeypatch):
    broken = "openvino: openvino cannot be imported: libopenvino.so"
    other = replace(setting([], choosing=True, engine=Stretched(1.0)), refused=broken)
    assert extraction.features(other, model).refused == ""
    monkeypatch.setenv("EFFBENCH_CACHE", f"{extraction.cache.directory()}-empty")
    monkeypatch.setattr(feature_cache, "MANY_PIXELS", 10)
    assert extraction.features(other, model).refused == broken


@both
def test_results_keep_their_order_and_number(engine):
    program = engine.compile(lambda x: (x + 1, tf.reduce_sum(x)))
    first, second = program(np.array([1, 2], np.float32))
    assert (first.tolist(), float(second)) == ([2, 3], 3)


def test_where_the_batch_is_measured_features_are_the_same_and_kept_by_it(model, monkeypatch):
    """On the CPU, which stands for an accelerator here."""
    usual = extraction.features(setting([]), model)
    monkeypatch.setattr(measured_batch, "DEVICES", ("cpu",))
    monkeypatch.setattr(measured_batch, "_speed", lambda _, batch: float(len(batch)))
    said: list[str] = []
    measured = extraction.features(setting(said), model)
    assert [line for line in said if "batches of" in line] == [
        "time batches of 16",
        "time batches of 32",
        "time batches of 64",
        "batches of 64: 64 images/s",
    ]
    assert measured.cached == 0
    np.testing.assert_allclose(joined(measured), joined(usual), rtol=1e-4, atol=1e-5)
    said.clear()
    assert extraction.features(setting(said), model).cached == len(joined(usual))
    assert not any("batches of" in line for line in said)
