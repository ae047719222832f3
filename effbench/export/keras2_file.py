"""The file of Keras 2, which tf_keras opens."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from effbench.export import keras_model
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.opened import OpenModel
from effbench.hardware.tensorflow_setup import keras


def write(classifier: Classifier, path: Path, _: Options) -> None:
    """Writes a zip archive of Keras's, with the labels."""
    classifier.model.save(path, save_format="keras")
    keras_model.finish(path, classifier.names)


def read(path: Path) -> OpenModel:
    """Reads it with tf_keras."""
    return keras_model.read(path, keras, f"tf_keras {version('tf-keras')}")
