"""The count from the package's table against the networks that the package builds."""

from dataclasses import replace
from functools import partial
from math import ceil
from types import SimpleNamespace

import numpy as np
import pytest
from support import shallow

from effbench.config.variants import VARIANTS
from effbench.models.flops import Convolution, convolutions, multiply_adds

# The convolutions of TensorFlow.
KINDS = ("Conv2D", "DepthwiseConv2dNative")

# Pixels -> 10^9 multiply-adds of torchvision's documentation, with a top of 1,000 classes.
TORCHVISION = {
    "S": (384, 8.37),
    "M": (480, 24.58),
    "L": (480, 56.08),
    "V1-B0": (224, 0.39),
    "V1-B1": (240, 0.69),
    "V1-B3": (300, 1.83),
    "V1-B4": (380, 4.39),
    "V1-B5": (456, 10.27),
    "V1-B6": (528, 19.07),
    "V1-B7": (600, 37.75),
}


class Played:
    """Layers that know shapes only, [side, channels], for the package to build all variants with.

    Of Keras's own that takes more than a minute; that those have these shapes and parameters is
    for the test after the next.
    """

    def __init__(self) -> None:
        self.convolutions: list[Convolution] = []

    def convolution(self, filters, kernel_size, strides=1, padding="valid", use_bias=True, **_):
        (kernel,), (stride,) = {*np.ravel(kernel_size)}, {*np.ravel(strides)}

        def call(maps):
            _, before, same, channels = maps.shape
            assert before == same
            inputs, outputs = (channels, filters) if filters else (1, channels)
            places = before if padding.lower() == "same" else before - kernel + 1
            side = ceil(places / stride)
            self.convolutions.append(Convolution(side, kernel, inputs, outputs, int(use_bias)))
            return tensor(side, outputs)

        return call

    def norm(self, **_):
        def call(maps):
            last = self.convolutions.pop()
            assert (last.side, last.outputs, last.extra) == (*maps.shape[2:], 0)
            self.convolutions.append(replace(last, extra=4))
            return maps

        return call

    def layers(self) -> dict[str, object]:
        """What stands in for which name of the package's module."""

        def unchanged(*_, **__):
            return lambda maps: maps

        def padded(padding, **_):
            return lambda maps: tensor(maps.shape[1] + 2 * padding, maps.shape[3])

        def joined():
            return lambda several: max(several, key=lambda maps: maps.shape[1])

        return {
            "Input": lambda shape: tensor(*shape[1:]),
            "Conv2D": self.convolution,
            "DepthwiseConv2D": partial(self.convolution, None),
            "BatchNormalization": self.norm,
            "Activation": unchanged,
            "Add": joined,
            "Multiply": joined,
            "tf": SimpleNamespace(reduce_mean=lambda maps, *_, **__: tensor(1, maps.shape[3])),
            "keras": SimpleNamespace(layers=SimpleNamespace(ZeroPadding2D=padded)),
            "Model": lambda inputs, outputs, name: SimpleNamespace(output_shape=outputs.shape),
        }


def tensor(side: int, channels: int) -> SimpleNamespace:
    return SimpleNamespace(shape=(None, side, side, channels))


@pytest.mark.parametrize("name", VARIANTS)
def test_convolutions_parameters_and_width_are_those_of_the_network(name, monkeypatch):
    from effbench.hardware.tensorflow_setup import keras_efficientnet_v2

    row, played = VARIANTS[name], Played()
    for layer, stand_in in played.layers().items():
        monkeypatch.setattr(keras_efficientnet_v2.efficientnet_v2, layer, stand_in)
    builder = getattr(keras_efficientnet_v2, row.builder)
    shape = (row.image_size, row.image_size, 3)
    # A dropout has no shape of its own; of V1 the package's default is 0.2.
    model = builder(input_shape=shape, num_classes=0, pretrained=None, drop_connect_rate=0)
    assert list(convolutions(row, row.image_size)) == played.convolutions
    assert sum(layer.parameters for layer in played.convolutions) == row.parameters
    assert model.output_shape[-1] == row.width


@pytest.mark.parametrize("name", ["B0", "T", "S", "V1-B0"])
def test_keras_and_tensorflows_profiler_count_the_same_at_any_size(name, monkeypatch):
    from effbench.hardware.tensorflow_setup import keras, keras_efficientnet_v2, tf

    # A first block and one that follows; the test above has all of them.
    shallow.at_most(monkeypatch, name, 2)
    multiply_adds.cache_clear()
    row = VARIANTS[name]
    builder = getattr(keras_efficientnet_v2, row.builder)
    network = builder(input_shape=(None, None, 3), num_classes=0, pretrained=None)
    model = tf.function(network, autograph=False)
    options = tf.compat.v1.profiler.ProfileOptionBuilder
    for size in (33, 97, 225):
        graph = model.get_concrete_function(tf.TensorSpec([1, size, size, 3])).graph
        assert built(network, graph) == list(convolutions(row, size))
        counted = tf.compat.v1.profiler.profile(
            graph,
            options=options(options.float_operation())
            .with_accounted_types(KINDS)
            .with_empty_output()
            .build(),
        ).total_float_ops
        assert counted == 2 * multiply_adds(row, size)
    parameters = sum(layer.parameters for layer in convolutions(row, 33))
    assert network.count_params() == parameters
    assert network.output_shape[-1] == row.width
    multiply_adds.cache_clear()
    keras.backend.clear_session()


def built(network, graph) -> list[Convolution]:
    """The convolutions of a Keras model, from its kernels and the outputs in a graph of it."""
    from effbench.hardware.tensorflow_setup import keras

    sides = [op.outputs[0].shape for op in graph.get_operations() if op.type in KINDS]
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    layers = [layer for layer in network.layers if isinstance(layer, kinds)]
    found = []
    for layer, (_, side, same, _) in zip(layers, sides, strict=True):
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            (height, width, outputs, _), inputs = layer.depthwise_kernel.shape, 1
        else:
            height, width, inputs, outputs = layer.kernel.shape
        assert height == width
        assert side == same
        found.append(Convolution(side, height, inputs, outputs, 1 if layer.use_bias else 4))
    return found


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
