"""A classifier in a file of either Keras, opened on TensorFlow."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from effbench.export import explain
from effbench.export.opened import OpenModel, labels
from effbench.hardware.tensorflow_setup import tf


def read(path: Path, keras: ModuleType, runtime: str) -> OpenModel:
    """Reads a file with the labels of its classes.

    Args:
        path: the file.
        keras: Keras 2 or 3, whichever wrote it.
        runtime: what runs it, with its version.
    """
    names = labels(path)
    model = keras.saving.load_model(path, compile=False)
    # As a function: op by op, B0 takes seven times as long for an image.
    images = tf.TensorSpec((None, None, None, 3), tf.uint8)
    program = tf.function(lambda images: model(images, training=False), input_signature=[images])

    def scores(images: np.ndarray) -> np.ndarray:
        return program(images).numpy()

    return OpenModel(names, scores, runtime, explain=explain.of(keras, model))
