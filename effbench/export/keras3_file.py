"""Keras 3's own file, which its backends TensorFlow, JAX and torch open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effbench.export import explain, standard_layers
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.opened import OpenModel, append_labels, labels
from effbench.hardware.tensorflow_setup import keras3, tf


def write(classifier: Classifier, path: Path, _: Options) -> None:
    """Writes a zip archive of Keras's, with the labels."""
    standard_layers.build(classifier).save(path)
    append_labels(classifier.names, path)


def read(path: Path) -> OpenModel:
    """Reads it with Keras 3 on TensorFlow."""
    names = labels(path)
    keras = keras3()
    model = keras.saving.load_model(path, compile=False)
    images = tf.TensorSpec((None, None, None, 3), tf.uint8)
    program = tf.function(lambda images: model(images, training=False), input_signature=[images])

    def scores(images: np.ndarray) -> np.ndarray:
        return program(images).numpy()

    runtime = f"Keras {keras.__version__} on TensorFlow {tf.__version__}"
    return OpenModel(names, scores, runtime, explain=explain.of(keras, model))
