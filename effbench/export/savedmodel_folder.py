"""TensorFlow's SavedModel, a folder, with the signature that TensorFlow Serving knows."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np

from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.opened import OpenModel
from effbench.hardware.tensorflow_setup import keras, tf


def write(classifier: Classifier, path: Path, _: Options) -> None:
    """Writes a folder whose signature gives `scores` and `classes`."""
    classes = tf.constant(classifier.names)
    model = classifier.model

    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Names and values of TensorFlow's own signature for classifiers: a row an image."""
        scores = model(images, training=False)
        return {"classes": tf.broadcast_to(classes, tf.shape(scores)), "scores": scores}

    archive = keras.export.ExportArchive()
    archive.track(model)
    images = tf.TensorSpec((None, None, None, 3), tf.uint8, "images")
    archive.add_endpoint("serve", serve, [images])
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the address of every variable
        archive.write_out(str(path))


def read(path: Path) -> OpenModel:
    """Reads it with TensorFlow."""
    loaded = tf.saved_model.load(str(path))

    def ask(images: np.ndarray) -> dict[str, tf.Tensor]:
        # Through `loaded`: without it the variables are gone.
        return loaded.signatures["serving_default"](images=tf.constant(images))

    def scores(images: np.ndarray) -> np.ndarray:
        return ask(images)["scores"].numpy()

    first = ask(np.zeros((1, 1, 1, 3), np.uint8))["classes"].numpy()[0]
    names = tuple(name.decode() for name in first)
    return OpenModel(names, scores, f"TensorFlow {tf.__version__}")
