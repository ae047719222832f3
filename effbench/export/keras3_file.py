"""Keras 3's own file, which its backends TensorFlow, JAX and torch open."""

from __future__ import annotations

from pathlib import Path

from effbench.export import keras_model, standard_layers
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.opened import OpenModel
from effbench.hardware.tensorflow_setup import keras3, tf


def write(classifier: Classifier, path: Path, _: Options) -> None:
    """Writes a zip archive of Keras's, with the labels."""
    standard_layers.build(classifier).save(path)
    keras_model.finish(path, classifier.names)


def read(path: Path) -> OpenModel:
    """Reads it with Keras 3 on TensorFlow."""
    keras = keras3()
    runtime = f"Keras {keras.__version__} on TensorFlow {tf.__version__}"
    return keras_model.read(path, keras, runtime)
