"""The file of Keras 2, which tf_keras opens."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from effbench.export import explain
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.opened import OpenModel, append_labels, labels
from effbench.hardware.tensorflow_setup import keras, tf


def write(classifier: Classifier, path: Path, _: Options) -> None:
    """Writes a zip archive of Keras's, with the labels."""
    classifier.model.save(path, save_format="keras")
    append_labels(classifier.names, path)


def read(path: Path) -> OpenModel:
    """Reads it with tf_keras."""
    names = labels(path)
    model = keras.models.load_model(path, compile=False)
    # As a function: op by op, B0 takes seven times as long for an image.
    images = tf.TensorSpec((None, None, None, 3), tf.uint8)
    program = tf.function(lambda images: model(images, training=False), input_signature=[images])

    def scores(images: np.ndarray) -> np.ndarray:
        return program(images).numpy()

    runtime = f"tf_keras {version('tf-keras')}"
    return OpenModel(names, scores, runtime, explain=explain.of(keras, model))
