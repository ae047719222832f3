"""A small classifier to be written, read and predicted with, in a second."""

import numpy as np

from effbench.hardware.tensorflow_setup import keras

NAMES = ("cat", "dog", "a bird", "fjäll", "e", "f")


def tiny() -> keras.Model:
    """From uint8 images of any size to six probabilities that depend on where what colours are."""
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3), dtype="uint8", name="images")
    tensor = keras.layers.Resizing(8, 8)(images)
    tensor = keras.layers.Rescaling(1 / 32, -4)(tensor)
    tensor = keras.layers.Flatten()(tensor)
    tensor = keras.layers.Dense(len(NAMES), activation="softmax")(tensor)
    return keras.Model(images, tensor)


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
