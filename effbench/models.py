"""Backbones: uint8 images in, features out."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Mapping

import numpy as np

from effbench.backend import keras, keras_efficientnet_v2, tf
from effbench.variants import Variant

# Of the random weights of a backbone: all seeds of a run share one, as they share a release.
RANDOM_WEIGHTS_SEED = 0

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)

# Name -> (mean, std) of (x - mean) / std, for x in 0..255, RGB.
PREPROCESSING: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
    "torch": (_MEAN * 255, _STD * 255),
    "tf": (np.full(3, 128, np.float32), np.full(3, 128, np.float32)),
    # keras-efficientnet-v2 1.1, December 2021: Rescaling(1/255), then Normalization(mean, variance)
    # that was given the standard deviations as variances.
    "notebook-2021": (_MEAN * 255, np.sqrt(_STD) * 255),
}

Forward = Callable[[tf.Tensor], tf.Tensor]


def build(variant: Variant, image_size: int, precision: str) -> keras.Model:
    """A frozen backbone without top, with seeded random weights.

    Args:
        variant: which network.
        image_size: side of its square input, pixels.
        precision: a Keras policy: "float32" or "mixed_bfloat16".

    Returns:
        A model from float32 [n, size, size, 3], rescaled, to a feature map.
    """
    keras.mixed_precision.set_global_policy(precision)
    keras.utils.set_random_seed(RANDOM_WEIGHTS_SEED)
    builder = getattr(keras_efficientnet_v2, variant.builder)
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints when it loads nothing
        model = builder(input_shape=(image_size, image_size, 3), num_classes=0, pretrained=None)
    model.trainable = False
    return model


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
    model(_prepare(tf.constant(images), image_size, preprocessing), training=True)
    model.trainable = False


def _prepare(images: tf.Tensor, image_size: int, preprocessing: str) -> tf.Tensor:
    """Resized, rescaled float32 images."""
    mean, std = PREPROCESSING[preprocessing]
    return (tf.image.resize(tf.cast(images, tf.float32), (image_size, image_size)) - mean) / std


def forward(
    model: keras.Model, image_size: int, preprocessing: str, batch_size: int, towers: int
) -> Forward:
    """The function from a batch of images to features, to be called in a `tf.function`.

    Args:
        model: what `build` returned.
        image_size: the images are resized to it, bilinearly, as in the case study.
        preprocessing: a row of `PREPROCESSING`.
        batch_size: of every call.
        towers: parts of a batch that run beside each other, for a CPU whose kernels use one
            thread each; more than divide the batch are left out.

    Returns:
        uint8 [batch_size, h, w, 3] -> float32 [batch_size, width], global average pooled.
    """
    towers = math.gcd(batch_size, towers)

    def tower(images: tf.Tensor) -> tf.Tensor:
        maps = model(_prepare(images, image_size, preprocessing), training=False)
        return tf.reduce_mean(tf.cast(maps, tf.float32), axis=(1, 2))

    def run(images: tf.Tensor) -> tf.Tensor:
        # Not `ensure_shape`: for XLA it makes the shape a dynamic one.
        images = tf.reshape(images, (batch_size, *images.shape[1:]))
        return tf.concat([tower(part) for part in tf.split(images, towers)], axis=0)

    return run
