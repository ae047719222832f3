"""A small classifier to be written, read and predicted with, in a second."""

from functools import cache

import numpy as np

from effbench.config.geometry import Geometry
from effbench.export.classifier import Classifier
from effbench.hardware.tensorflow_setup import keras, tf

NAMES = ("cat", "dog", "a bird", "fjäll", "e", "f")
SIDE = 16


@cache
def _backbone() -> keras.Model:
    """Of every kind of layer that a backbone has, frozen."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    images = keras.Input((SIDE, SIDE, 3))
    stem = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(images)
    stem = layers.Activation("swish")(layers.BatchNormalization(epsilon=1e-3)(stem))
    wide = layers.DepthwiseConv2D(3, padding="valid")(layers.ZeroPadding2D(1)(stem))
    squeezed = tf.reduce_mean(wide, [1, 2], keepdims=True)
    gate = layers.Activation("sigmoid")(layers.Conv2D(8, 1)(squeezed))
    wide = layers.Dropout(0.1, noise_shape=(None, 1, 1, 1))(layers.Multiply()([wide, gate]))
    model = keras.Model(images, layers.Add()([stem, wide]), name="backbone")
    (norm,) = (layer for layer in model.layers if isinstance(layer, layers.BatchNormalization))
    norm.set_weights([np.linspace(low, high, 8) for low, high in ((1, 2), (-1, 1), (0, 1), (1, 3))])
    model.trainable = False
    return model


def tiny(geometry: Geometry | None = None, names: tuple[str, ...] = NAMES) -> Classifier:
    """Of six classes that depend on the colours and edges of an image."""
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(8, len(names))) * 5, random.normal(size=len(names))
    mean, std = np.full(3, 120, np.float32), np.full(3, 60, np.float32)
    head = (kernel.astype(np.float32), bias.astype(np.float32))
    return Classifier("tiny", names, SIDE, geometry, mean, std, _backbone(), *head)


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Colours that differ from one image to another, and noise."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 128, (height, width, 3))
    return (noise + random.integers(0, 128, 3)).astype(np.uint8)
