"""A network cut between two stages is the network; what comes out of its first part is as said."""

import numpy as np
import pytest
from support import shallow

from effbench.config import network_stages
from effbench.config.variants import VARIANTS
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone, parts

SIZE = 72  # 36, 18, 9 and then 5: not whole halves


@pytest.fixture(scope="module")
def model() -> keras.Model:
    with pytest.MonkeyPatch.context() as patch:
        shallow.at_most(patch, "B0", 1)
        return backbone.trainable(VARIANTS["B0"], "float32", 0.8)[0]


def test_the_stages_of_a_variant_are_the_papers():
    assert network_stages.names(VARIANTS["B0"]) == ("all", *(f"stage{n}" for n in range(1, 8)))
    assert network_stages.names(VARIANTS["M"])[-1] == "stage8"
    # EfficientNetV2-B0 at 224: 14 x 14 of 96 before the fifth stage, and of 112 before the sixth.
    assert network_stages.input_shape(VARIANTS["B0"], "stage5", 224) == (14, 14, 96)
    assert network_stages.input_shape(VARIANTS["B0"], "stage6", 224) == (14, 14, 112)
    assert network_stages.input_shape(VARIANTS["B0"], "stage7", 224) == (7, 7, 192)


@pytest.mark.parametrize("stage", network_stages.names(VARIANTS["B0"])[1:])
def test_every_cut_has_the_shape_that_is_said_and_all_variables_once(model, stage):
    order = [variable.name for variable in model.weights]
    frozen, rest = parts.cut(model, stage)
    # What a run keeps is read in this order.
    assert [variable.name for variable in model.weights] == order
    expected = network_stages.input_shape(VARIANTS["B0"], stage, SIZE)
    assert tuple(frozen(tf.zeros((1, SIZE, SIZE, 3))).shape[1:]) == expected
    assert not frozen.trainable_variables
    names = [variable.name for variable in (*frozen.variables, *rest.variables)]
    assert sorted(names) == sorted(variable.name for variable in model.variables)
    for layer in frozen.layers:  # the next stage is cut from the same network
        layer.trainable = True


def test_the_first_efficientnet_is_cut_and_trained_as_the_second(monkeypatch):
    first = VARIANTS["V1-B0"]
    shallow.at_most(monkeypatch, "V1-B0", 2)
    model, noise = backbone.trainable(first, "float32", 0.8)
    assert network_stages.names(first)[-1] == "stage8"
    # Tan and Le 2019, table 1: 14 x 14 of 80 channels before the stage of 112, at 224.
    assert network_stages.input_shape(first, "stage5", 224) == (14, 14, 80)
    assert len(parts.parts(model)) == 1 + (1 + 2 * 5 + 1) + 1
    # Our own layers are in it, as in the second one's.
    kinds = {type(layer).__name__ for layer in model.layers}
    assert {"Swish", "Pointwise", "StochasticDepth"} <= kinds
    asked = []
    noise.keep = lambda name, rate: asked.append(name) or tf.ones(1)
    model(tf.zeros((1, 32, 32, 3)), training=True)
    assert len(asked) == 5  # the second blocks of stages
    frozen, _ = parts.cut(model, "stage5")
    expected = network_stages.input_shape(first, "stage5", SIZE)
    assert tuple(frozen(tf.zeros((1, SIZE, SIZE, 3))).shape[1:]) == expected


def test_both_parts_make_what_the_network_makes(model):
    frozen, rest = parts.cut(model, "stage5")
    images = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    np.testing.assert_array_equal(rest(frozen(images)), model(images))
    assert parts.cut(model, "all") == (None, model)
