"""What tensors are called for people: where in the network they stand."""

import pytest

from effbench.export.layer_words import described
from effbench.hardware.tensorflow_setup import keras


def block() -> keras.Model:
    """Squeeze-and-excitation, of which the package names the convolutions alone."""
    layers = keras.layers
    images = keras.Input((8, 8, 3))
    wide = layers.Conv2D(4, 1, name="stem_conv")(images)
    squeezed = layers.Conv2D(2, 1, name="stack_4_block1_se_1_conv")(wide)
    squeezed = layers.Activation("swish", name="activation_48")(squeezed)
    gate = layers.Conv2D(4, 1, name="stack_4_block1_se_2_conv")(squeezed)
    gate = layers.Activation("sigmoid", name="activation_49")(gate)
    return keras.Model(images, layers.Multiply(name="multiply_9")([wide, gate]), name="B0")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ("rescaling/sub", "rescaling: sub"),
        ("B0/stem_conv/Conv2D;B0/bn/FusedBatchNormV3", "stem: Conv2D"),
        (
            "B0/stack_4_block1_se_1_conv/BiasAdd;x",
            "stage 5, block 2, squeeze of squeeze-and-excitation: BiasAdd",
        ),
        (
            "B0/activation_49/Sigmoid",
            "stage 5, block 2, excitation of squeeze-and-excitation: Sigmoid",
        ),
        (
            "B0/multiply_9/mul",
            "stage 5, block 2, excitation of squeeze-and-excitation: mul",
        ),
    ],
)
def test_a_tensor_is_where_it_stands_in_the_network(tensor, words):
    assert described(tensor, block()) == words
