"""Backbones: uint8 images in, features out."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from dataclasses import asdict
from unittest import mock

import numpy as np

from effbench.config.batch_norm import OWN, BatchNorm
from effbench.config.precisions import PRECISIONS
from effbench.config.variants import Variant
from effbench.hardware.tensorflow_setup import keras, keras_efficientnet_v2, tf
from effbench.models.layers import Depthwise, Noise, Pointwise, StochasticDepth, Swish
from effbench.models.preprocessing import prepare

# The seed of a backbone's random weights: all seeds of a run share them, as they share a release.
RANDOM_WEIGHTS_SEED = 0

Forward = Callable[[tf.Tensor], tf.Tensor]

# How the package writes the sides of a kernel, and the strides; and that they are one pixel.
_Sides = int | tuple[int, int]
_ONE = (1, (1, 1))


def build(variant: Variant, image_size: int, precision: str) -> keras.Model:
    """A frozen backbone without top, with seeded random weights.

    Args:
        variant: which network.
        image_size: side of its square input, pixels.
        precision: a row of `PRECISIONS`.

    Returns:
        A model from float32 [n, size, size, 3], rescaled, to a feature map.
    """
    model = _built(variant, image_size, precision, drop_connect_rate=0.0)
    model.trainable = False
    return model


def classifier(variant: Variant, image_size: int, precision: str, classes: int) -> keras.Model:
    """A frozen network with its top, with seeded random weights.

    Returns:
        A model from float32 [n, size, size, 3], rescaled, to logits float32 [n, classes].
    """
    model = _built(variant, image_size, precision, drop_connect_rate=0.0, classes=classes)
    model.trainable = False
    return model


def _built(
    variant: Variant,
    image_size: int | None,
    precision: str,
    drop_connect_rate: float,
    classes: int = 0,
) -> keras.Model:
    keras.mixed_precision.set_global_policy(PRECISIONS[precision].policy)
    keras.utils.set_random_seed(RANDOM_WEIGHTS_SEED)
    builder = getattr(keras_efficientnet_v2, variant.builder)
    shape = (image_size, image_size, 3)
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints when it loads nothing
        return builder(
            input_shape=shape,
            num_classes=classes,
            classifier_activation=None,
            pretrained=None,
            drop_connect_rate=drop_connect_rate,  # of V1 the package's default is 0.2
        )


def trainable(
    variant: Variant,
    precision: str,
    survival: float,
    device: str = "cpu",
    batch_norm: BatchNorm = OWN,
) -> tuple[keras.Model, Noise]:
    """A backbone without top whose every layer trains, for images of any size.

    Args:
        variant: which network.
        precision: a row of `PRECISIONS`.
        survival: probability that the last block's branch is kept, in stochastic depth.
        device: kind of the device it is to train on.
        batch_norm: the numbers of its BatchNorm.

    Returns:
        A model from float32 [n, size, size, 3], rescaled, to a feature map; and its noise.
    """
    noise = Noise()
    plain = keras.layers

    def activating(activation: str, name: str | None = None) -> keras.layers.Layer:
        return (
            Swish(name=name) if activation == "swish" else plain.Activation(activation, name=name)
        )

    def convolving(
        filters: int, kernel_size: _Sides, strides: _Sides = 1, **arguments: object
    ) -> keras.layers.Layer:
        pixels = kernel_size in _ONE and strides in _ONE
        kind = Pointwise if device == "cpu" and pixels else plain.Conv2D
        return kind(filters, kernel_size, strides=strides, **arguments)

    def dropping(rate: float, noise_shape: object, **arguments: str) -> keras.layers.Layer:
        return StochasticDepth(noise, rate, **arguments)

    # The package is handed our layers: to build its own model first, and clone it, takes twice as
    # long.
    with mock.patch.multiple(
        keras_efficientnet_v2.efficientnet_v2,
        Activation=activating,
        Conv2D=convolving,
        DepthwiseConv2D=Depthwise if device == "cpu" else plain.DepthwiseConv2D,
        Dropout=dropping,
    ):
        model = _built(variant, None, precision, drop_connect_rate=1 - survival)
    set_norms(model, batch_norm)
    return model, noise


def set_norms(model: keras.Model, numbers: BatchNorm) -> None:
    """Gives each BatchNorm of a network the numbers that are not left to the network."""
    given = {name: value for name, value in asdict(numbers).items() if value is not None}
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for name, value in given.items():
                setattr(layer, name, value)


def randomize(model: keras.Model, seed: int) -> None:
    """Gives every kernel its own random values, by the package's rule.

    The package has one initializer for all kernels, which gives equal values to those of equal
    shape.
    """
    for index, variable in enumerate(model.trainable_variables):
        if variable.shape.rank == 4:
            kernel_seed = (seed * 10_007 + index) % 2**31
            drawn = keras.initializers.VarianceScaling(
                2.0, "fan_out", "truncated_normal", kernel_seed
            )
            variable.assign(drawn(variable.shape))


def calibrate(model: keras.Model, image_size: int, preprocessing: str, images: np.ndarray) -> None:
    """Gives a random backbone the BatchNorm statistics of some images.

    A fresh network's statistics (mean 0, variance 1) normalize nothing in inference mode, and the
    features of the deeper variants overflow float32.

    Args:
        model: what `build` returned; changed in place.
        image_size: the images are resized to it.
        preprocessing: a row of `PREPROCESSING`.
        images: uint8 [n, h, w, 3], a few.
    """
    model.trainable = True
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(prepare(tf.constant(images), image_size, preprocessing), training=True)
    model.trainable = False


def forward(
    model: keras.Model,
    image_size: int,
    preprocessing: str,
    batch_size: int,
    towers: int,
    device: str = "cpu",
) -> Forward:
    """The function from a batch of images to features, to be called in a `tf.function`.

    Args:
        model: what `build` returned.
        image_size: the images are resized to it, bilinearly, as in the case study.
        preprocessing: a row of `PREPROCESSING`.
        batch_size: images in every call.
        towers: parts of a batch that run beside each other, for a CPU whose kernels use one
            thread each; lowered to a number that divides the batch.
        device: kind of device, for `prepare`.

    Returns:
        From uint8 [batch_size, h, w, 3] to float32 [batch_size, width], global average pooled.
    """

    def tower(images: tf.Tensor) -> tf.Tensor:
        maps = model(prepare(images, image_size, preprocessing, device), training=False)
        return pooled(maps)

    return in_towers(tower, batch_size, towers)


def pooled(maps: tf.Tensor) -> tf.Tensor:
    """A feature map [n, h, w, width] to float32 [n, width]: the global average."""
    return tf.reduce_mean(tf.cast(maps, tf.float32), axis=(1, 2))


def in_towers(tower: Forward, batch_size: int, towers: int) -> Forward:
    """A function of a batch that works on its parts beside each other, as in `forward`."""
    towers = math.gcd(batch_size, towers)

    def run(images: tf.Tensor) -> tf.Tensor:
        # Not `ensure_shape`: for XLA it makes the shape a dynamic one.
        images = tf.reshape(images, (batch_size, *images.shape[1:]))
        return tf.concat([tower(part) for part in tf.split(images, towers)], axis=0)

    return run
