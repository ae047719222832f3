"""The network of a run, from what is kept: its own outputs, or one line."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from support.records import RANDOM, failure, put, result, spec

from effbench.config.recipes import RECIPES
from effbench.config.run_spec import WeightsId
from effbench.config.variants import VARIANTS
from effbench.errors import EffbenchError, WeightsError
from effbench.export import classifier
from effbench.export import load as kept
from effbench.hardware.tensorflow_setup import keras
from effbench.models import backbone as backbones
from effbench.models import preprocessing as preparation
from effbench.progress import silent
from effbench.records.record import RunResult
from effbench.records.store import Store

pytestmark = pytest.mark.usefixtures("shallow_networks")

B0 = VARIANTS["B0"]
NAMES = tuple("0123456789")
SPREAD = 0.05  # of a head's kernel: probabilities are neither all equal nor 0 and 1
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def head() -> list[np.ndarray]:
    """Kernel and bias with which a class depends on the image."""
    random = np.random.default_rng(0)
    return [
        (random.normal(size=(B0.width, 10)) * SPREAD).astype(np.float32),
        np.ones(10, np.float32),
    ]


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    """Random weights, but with features that depend on the image, and no two tensors alike."""
    model = backbones.build(B0, 32, "float32")
    model.trainable = True
    backbones.randomize(model, 1)
    backbones.calibrate(model, 32, "torch", IMAGES)
    return model


def whole(store: Store) -> RunResult:
    """A run that trained a whole network of 32 pixels."""
    return put(store, result(spec=spec(recipe=RECIPES["finetune"], image_size=32)))


@pytest.fixture(scope="module")
def saved(backbone, tmp_path_factory) -> tuple[Store, RunResult]:
    """Such a run with its weights, saved as a worker does."""
    store = Store(tmp_path_factory.mktemp("saved"))
    record = whole(store)
    model, _ = backbones.trainable(B0, "float32", 0.8)
    found = {each.name: each.numpy() for each in backbone.weights}
    for each in model.weights:
        each.assign(found[each.name])
    store.save_model(record.spec.key, [*model.get_weights(), *head()])
    return store, record


@pytest.fixture(scope="module")
def network(saved) -> kept.Network:
    return load(*saved)


def load(store: Store, record: RunResult, **place: object) -> kept.Network:
    return kept.load(store, record, place.get("weights_dir"), silent)


def test_a_whole_network_is_what_was_kept(network, backbone):
    prepared = preparation.prepare(IMAGES, 32, "torch")
    features = backbone(prepared, training=False).numpy().mean(axis=(1, 2))
    logits = features @ head()[0] + 1
    expected = softmax(logits, axis=1)
    np.testing.assert_allclose(network.probabilities(IMAGES), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1


def test_a_classifier_has_its_weights_by_name_and_layers_of_keras_alone(network):
    model = classifier.build(network, NAMES).model
    assert model.compute_dtype == "float32"
    own = network.probabilities(IMAGES)
    np.testing.assert_allclose(model(IMAGES), own, atol=1e-4)
    larger = IMAGES.repeat(3, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(model(larger), network.probabilities(larger), atol=1e-4)
    layers = [*model.layers, *model.get_layer("EfficientNetV2B0").layers]
    assert {type(layer).__module__.split(".")[0] for layer in layers} == {"tf_keras"}


@pytest.mark.parametrize("preprocessing", preparation.PREPROCESSING)
def test_a_classifier_rescales_as_its_run(preprocessing, network):
    recipe = replace(network.spec.recipe, preprocessing=preprocessing)
    network = replace(network, spec=replace(network.spec, recipe=recipe))
    found = classifier.build(network, NAMES).model(IMAGES)
    np.testing.assert_allclose(found, network.probabilities(IMAGES), atol=1e-4)


def test_of_a_head_the_backbone_comes_from_its_file(backbone, store, tmp_path):
    backbone.save_weights(tmp_path / "mine.h5")
    digest = hashlib.sha256((tmp_path / "mine.h5").read_bytes()).hexdigest()
    record = result(spec=spec(weights=WeightsId("file", f"sha256:{digest}", "tf"), image_size=32))
    made = replace(record.provenance, weights_file="mine.h5", weights_sha256=digest)
    record = put(store, replace(record, provenance=made))
    store.save_model(record.spec.key, head())
    missing = (
        r"must be known, or in this directory: it is in no note of .*, and no mine.h5 "
        r"\(sha256:.*\) is there; add --weights-dir with the folder"
    )
    with pytest.raises(WeightsError, match=missing):
        load(store, record)
    # Where it was seen once, it need not be named again.
    for folder in (tmp_path, None):
        network = load(store, record, weights_dir=folder)
        for own, other in zip(network.backbone.get_weights(), backbone.get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)
    (tmp_path / "mine.h5").write_bytes(b"another")
    for folder in (tmp_path, None):
        with pytest.raises(WeightsError, match=r"weights has changed: .*mine.h5; .*sha256:"):
            load(store, record, weights_dir=folder)
    (tmp_path / "mine.h5").unlink()
    with pytest.raises(WeightsError, match=missing):
        load(store, record)


def test_a_head_on_a_random_backbone_is_one_line(store):
    record = put(store, result(spec=spec(weights=RANDOM)))
    store.save_model(record.spec.key, head())
    with pytest.raises(EffbenchError, match=r"the backbone is not kept: B0-none-.* with random"):
        load(store, record)


def test_a_run_that_failed_is_one_line(store):
    with pytest.raises(EffbenchError, match=r"has no model: L-.*: out-of-memory: Res.*--retry-f"):
        load(store, failure())


def test_a_run_whose_model_is_not_there_is_one_line(store):
    record = put(store, result())
    with pytest.raises(
        EffbenchError, match=r"was not kept: no .*\.npz; 'effbench show B0-.*--force"
    ):
        load(store, record)


def test_a_damaged_model_is_one_line(store):
    record = whole(store)
    store.save_model(record.spec.key, head())
    path = store.model(record.spec.key)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (b"", content[: len(content) // 2], bytes(flipped), b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(EffbenchError, match=r"cannot read the model of this run: .*\.npz: "):
            load(store, record)


def test_arrays_of_another_network_are_one_line(network, saved, store, monkeypatch):
    monkeypatch.setattr(backbones, "trainable", lambda *_: (network.backbone, None))
    record = whole(store)
    key = record.spec.key
    kernel, bias = head()
    arrays = saved[0].load_model(key)
    for wrong in ([bias], [kernel, bias], [*arrays[:-2], kernel[:7], bias]):
        store.save_model(key, wrong)
        with pytest.raises(WeightsError, match="the weights that were kept do not fit B0: "):
            load(store, record)
