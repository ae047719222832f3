"""A classifier rebuilt of the standard layers of Keras 3, which any of its backends runs.

Keras 3 opens no model of Keras 2. So the backbone is built again, layer by layer, and what makes
photos square is made of Keras 3's own operations: its `Resizing` cuts and pads at whole pixels,
where Pillow, which made the photos of training square, does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from effbench.config.geometry import Geometry
from effbench.hardware.tensorflow_setup import keras as keras2
from effbench.hardware.tensorflow_setup import keras3

if TYPE_CHECKING:
    from effbench.export.classifier import Classifier

# A tensor or a model of Keras 3, which has no types.
Tensor = Any
Model = Any
# Of one side: how much of the photo is taken, the pixels of the square that it fills, the first.
_Span = tuple[Tensor, Tensor, Tensor]

_SHARED = ("data_format", "name")
_CONVOLUTION = (
    *("kernel_size", "strides", "padding", "dilation_rate", "use_bias", "activation"),
    *_SHARED,
)
# What both versions call the same, by the name of the layer; all else is only for training.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "Activation": ("activation", "name"),
    "Add": ("name",),
    "BatchNormalization": ("axis", "epsilon", "center", "scale", "name"),
    "Conv2D": ("filters", "groups", *_CONVOLUTION),
    "DepthwiseConv2D": ("depth_multiplier", *_CONVOLUTION),
    "Multiply": ("name",),
    "ZeroPadding2D": ("padding", *_SHARED),
}


def build(classifier: Classifier) -> Model:
    """A model of Keras 3, from uint8 [n, h, w, 3], RGB of any size, to float32 [n, classes].

    It is frozen: a model that is not changes its BatchNorm statistics wherever it is called without
    `training=False`, and answers by those of the batch.
    """
    keras = keras3()
    keras.utils.clear_session()  # names of layers are counted: the same model has the same
    images = keras.Input((None, None, 3), dtype="uint8", name="images")
    # As numbers: Keras 3 resizes whole numbers to whole numbers.
    tensor = keras.layers.Rescaling(1.0, name="numbers")(images)
    if classifier.geometry:
        tensor = _square(tensor, classifier.size, classifier.geometry)
    else:
        tensor = keras.layers.Resizing(classifier.size, classifier.size, name="resize")(tensor)
    mean, variance = (values.tolist() for values in (classifier.mean, classifier.std**2))
    tensor = keras.layers.Normalization(mean=mean, variance=variance, name="rescale")(tensor)
    backbone = rebuilt(classifier.backbone)
    head = keras.layers.Dense(len(classifier.bias), activation="softmax", name="scores")
    for layer in (backbone, keras.layers.GlobalAveragePooling2D(name="pool"), head):
        tensor = layer(tensor)
    head.set_weights([classifier.kernel, classifier.bias])
    model = keras.Model(images, tensor, name=classifier.title)
    model.trainable = False
    return model


def rebuilt(model: keras2.Model) -> Model:
    """The same network with the same weights, of Keras 3's layers."""
    keras = keras3()
    (given,) = model.inputs
    first = keras.Input(given.shape[1:], dtype="float32", name=model.input_names[0])
    tensors = {id(given): first}
    pairs = []
    for layer in model.layers:
        if isinstance(layer, keras2.layers.InputLayer):
            continue
        (node,) = layer.inbound_nodes
        inputs = [tensors[id(tensor)] for tensor in node.keras_inputs]
        # Without `training=False` Keras 3 would drop, even in a frozen model.
        if isinstance(layer, keras2.layers.Dropout):
            (tensors[id(node.outputs)],) = inputs
            continue
        new = _layer(layer)
        tensors[id(node.outputs)] = new(inputs if len(inputs) > 1 else inputs[0])
        pairs.append((layer, new))
    result = keras.Model(first, tensors[id(model.outputs[0])], name=model.name)
    for layer, new in pairs:
        if layer.weights:
            new.set_weights(layer.get_weights())
    return result


def _layer(layer: keras2.layers.Layer) -> Tensor:
    layers = keras3().layers
    kind = type(layer).__name__
    if kind == "TFOpLambda":  # squeeze-and-excitation's mean, an op of TensorFlow's
        assert layer.symbol == "math.reduce_mean"
        assert layer.output_shape[1:3] == (1, 1)
        name = layer.name.replace(".", "_")
        return layers.GlobalAveragePooling2D(keepdims=True, name=name)
    config = layer.get_config()
    values = {name: config[name] for name in _ARGUMENTS[kind]}
    if kind == "BatchNormalization" and not isinstance(values["axis"], int):
        (values["axis"],) = values["axis"]
    return getattr(layers, kind)(**values)


def _triangle(distance: Tensor) -> Tensor:
    return keras3().ops.relu(1.0 - distance)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' kernel with a = -1/2, as Pillow's: of two cubics, each where it holds."""
    ops = keras3().ops
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    is_near = ops.cast(distance < 1.0, "float32")
    is_far = ops.cast(distance < 2.0, "float32") - is_near
    return near * is_near + far * is_far


_KERNELS: Mapping[str, Callable[[Tensor], Tensor]] = {"bilinear": _triangle, "bicubic": _cubic}


def _square(images: Tensor, size: int, geometry: Geometry) -> Tensor:
    """Makes photos square, as `photo_square.square` does: [n, h, w, 3] to [n, size, size, 3]."""
    ops = keras3().ops
    # Operations are saved, shapes that are not known yet are not: so pixels are counted.
    ones = images * 0.0 + 1.0
    rows, columns = (ops.mean(ones, axis=axes) for axes in ((0, 2, 3), (0, 1, 3)))
    height, width = ops.sum(rows), ops.sum(columns)
    spans = {
        "squash": lambda: ((height, size, 0.0), (width, size, 0.0)),
        "crop": lambda: ((ops.minimum(height, width), size, 0.0),) * 2,
        "pad": lambda: tuple(
            _padded(side, ops.maximum(height, width), size) for side in (height, width)
        ),
    }[geometry.fit]()
    down, right = (
        _weights(line, side, span, size, geometry.filter)
        for line, side, span in zip((rows, columns), (height, width), spans, strict=True)
    )
    planes = ops.transpose(images, (0, 3, 1, 2))
    planes = _whole(ops.matmul(planes, ops.transpose(right)))
    planes = _whole(ops.matmul(down, planes))
    return ops.transpose(planes, (0, 2, 3, 1))


def _whole(values: Tensor) -> Tensor:
    ops = keras3().ops
    return ops.round(ops.clip(values, 0.0, 255.0))


def _padded(side: Tensor, longer: Tensor, size: int) -> _Span:
    """As in `photo_square`: the whole side, the pixels that it fills, and the first of them."""
    ops = keras3().ops
    covered = ops.maximum(ops.round(side / longer * float(size)), 1.0)
    return side, covered, ops.round((float(size) - covered) / 2.0)


def _weights(ones: Tensor, side: Tensor, span: _Span, size: int, kernel: str) -> Tensor:
    """Weights [size, side], as in `photo_square`; `ones` is 1 for each line of pixels."""
    ops = keras3().ops
    window, covered, first = span
    scale = window / covered
    # Tensors come first, so that they, and not NumPy, do the arithmetic.
    place = scale * 0.0 - first + np.arange(size, dtype=np.float32)[:, None]
    centre = scale * (place + 0.5) + (side - window) / 2.0
    lines = ops.expand_dims(ops.cumsum(ones) - 0.5, 0)
    distance = ops.absolute(lines - centre) / ops.maximum(scale, 1.0)
    weights = _KERNELS[kernel](distance)
    total = ops.sum(weights, axis=1, keepdims=True)
    # A line of the square beyond the photo stays black.
    inside = ops.cast(place >= 0.0, "float32") * ops.cast(place < covered, "float32")
    return weights / (total + ops.cast(ops.equal(total, 0.0), "float32")) * inside
