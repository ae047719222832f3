"""The count from the package's table against the networks that the package builds."""

import pytest
from support import shallow

from effbench.config.variants import VARIANTS
from effbench.models.flops import Convolution, convolutions, multiply_adds

# Pixels -> 10^9 multiply-adds of torchvision's documentation, with a top of 1,000 classes.
TORCHVISION = {"S": (384, 8.37), "M": (480, 24.58), "L": (480, 56.08)}


@pytest.fixture
def build(monkeypatch):
    from effbench.hardware.tensorflow_setup import keras, keras_efficientnet_v2

    # Random weights would take most of the time.
    monkeypatch.setattr(keras_efficientnet_v2.efficientnet_v2, "CONV_KERNEL_INITIALIZER", "zeros")

    def build(name, size):
        builder = getattr(keras_efficientnet_v2, VARIANTS[name].builder)
        return builder(input_shape=(size, size, 3), num_classes=0, pretrained=None)

    yield build
    multiply_adds.cache_clear()
    keras.backend.clear_session()


def built(model) -> list[Convolution]:
    """The convolutions of a Keras model, from its kernels and output shapes."""
    from effbench.hardware.tensorflow_setup import keras

    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            (height, width, outputs, _), inputs = layer.depthwise_kernel.shape, 1
        elif isinstance(layer, keras.layers.Conv2D):
            height, width, inputs, outputs = layer.kernel.shape
        else:
            continue
        assert height == width
        assert layer.output_shape[1] == layer.output_shape[2]
        extra = 1 if layer.use_bias else 4
        found.append(Convolution(layer.output_shape[1], height, inputs, outputs, extra))
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_convolutions_parameters_and_width_are_those_of_the_network(name, build):
    row = VARIANTS[name]
    model = build(name, row.image_size)
    assert list(convolutions(row, row.image_size)) == built(model)
    assert model.count_params() == row.parameters
    assert model.output_shape[-1] == row.width


@pytest.mark.parametrize("name", ["B0", "T", "S"])
def test_tensorflows_profiler_counts_the_same_at_any_size(name, build, monkeypatch):
    from effbench.hardware.tensorflow_setup import tf

    # A first block and one that follows; the test above has all of them.
    shallow.at_most(monkeypatch, name, 2)
    multiply_adds.cache_clear()
    model = tf.function(build(name, None))
    options = tf.compat.v1.profiler.ProfileOptionBuilder
    for size in (33, 97, 225):
        counted = tf.compat.v1.profiler.profile(
            model.get_concrete_function(tf.TensorSpec([1, size, size, 3])).graph,
            options=options(options.float_operation())
            .with_accounted_types(["Conv2D", "DepthwiseConv2dNative"])
            .with_empty_output()
            .build(),
        ).total_float_ops
        assert counted == 2 * multiply_adds(VARIANTS[name], size)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_documents_the_same(name):
    size, billions = TORCHVISION[name]
    top = VARIANTS[name].width * 1000
    assert round((multiply_adds(VARIANTS[name], size) + top) / 1e9, 2) == billions


@pytest.mark.parametrize("name", VARIANTS)
def test_the_parameters_are_those_of_the_table(name):
    row = VARIANTS[name]
    assert sum(each.parameters for each in convolutions(row, row.image_size)) == row.parameters


@pytest.mark.parametrize(
    ("convolution", "expected", "parameters"),
    [
        (Convolution(16, 3, 3, 24), 16 * 16 * 3 * 3 * 3 * 24, 3 * 3 * 3 * 24 + 4 * 24),
        (Convolution(8, 3, 1, 96), 8 * 8 * 3 * 3 * 96, 3 * 3 * 96 + 4 * 96),
        (Convolution(1, 1, 96, 6, extra=1), 96 * 6, 96 * 6 + 6),
    ],
)
def test_one_convolution(convolution, expected, parameters):
    assert convolution.multiply_adds == expected
    assert convolution.parameters == parameters
