"""A classifier in a file of either Keras, opened on TensorFlow."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from effbench.export import explain
from effbench.export.opened import OpenModel, append_labels, labels
from effbench.hardware.tensorflow_setup import tf

# Which objects of a model are one, by their addresses in the memory of whoever saved it.
_SHARED = re.compile(rb'("shared_object_id": )(\d+)')


def finish(path: Path, names: Sequence[str]) -> None:
    """Takes times and addresses out of a file, and adds the labels.

    So the same model is the same bytes.

    Args:
        path: what Keras saved.
        names: those of the classes.
    """
    numbers: dict[bytes, int] = {}
    timeless = path.with_name(f"{path.name}.timeless")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(timeless, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "metadata.json":
                saved = json.loads(content) | {"date_saved": "1980-01-01@00:00:00"}
                content = json.dumps(saved).encode()
            elif entry.filename == "config.json":
                content = _SHARED.sub(partial(_numbered, numbers), content)
            new.writestr(zipfile.ZipInfo(entry.filename), content)
    timeless.replace(path)
    append_labels(names, path)


def _numbered(numbers: dict[bytes, int], match: re.Match[bytes]) -> bytes:
    return match[1] + str(numbers.setdefault(match[2], len(numbers))).encode()


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
