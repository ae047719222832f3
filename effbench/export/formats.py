"""The formats that a classifier is written to and read from; the names of its classes inside.

A new one is a new row of `FORMATS`.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.cpu import cores
from effbench.errors import EffbenchError
from effbench.hardware.tensorflow_setup import keras, tf

# Where models of TensorFlow Lite have the names of their classes, one a line: in a zip archive
# behind the model (tensorflow.org/lite/models/convert/metadata). A .keras file is one itself.
LABELS = "labels.txt"

# From an image, uint8 [h, w, 3], to the probability of each class by its name, in their order.
Classify = Callable[[np.ndarray], dict[str, float]]


@dataclass(frozen=True)
class Format:
    """How a classifier is kept.

    Attributes:
        suffix: end of its file's name; "" for a folder.
        has: whether a path holds one, by its first bytes or files.
        write: writes a model (uint8 [n, h, w, 3] to float32 [n, classes]) with the classes' names.
        read: reads one, and raises whatever its library does where it is damaged.
    """

    suffix: str
    has: Callable[[Path], bool]
    write: Callable[[keras.Model, Sequence[str], Path], None]
    read: Callable[[Path], Classify]


def read(path: Path) -> Classify:
    """The classifier in a file or folder; it is tried on one pixel.

    Raises:
        EffbenchError: there is no model, or not one that `effbench export` wrote, or not a whole
            one.
    """
    formats = [row for row in FORMATS.values() if row.has(path)]
    hint = "give what 'effbench export' wrote"
    if not formats:
        kinds = ((path.is_dir, "a folder of something else"), (path.exists, "something else"))
        what = next((kind for test, kind in kinds if test()), "nothing is there")
        raise EffbenchError(
            f"a model is a {', '.join(FORMATS)} file or folder", f"{path}: {what}", hint
        )
    try:
        classify = formats[0].read(path)
        classify(np.zeros((1, 1, 3), np.uint8))
    # Of a damaged file, or of another model, the libraries raise whatever they happen to hit.
    except Exception as error:
        received = f"{path}: {type(error).__name__}: {error}"[:300]
        raise EffbenchError(
            "not a whole model with the names of its classes", received, hint
        ) from (error)
    return classify


def _starts(path: Path, magic: bytes, offset: int = 0) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(len(magic)) == magic


def _append_labels(names: Sequence[str], path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "\n".join(names) + "\n")


def _labels(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.read(LABELS).decode().splitlines()


def _named(names: Sequence[str], scores: np.ndarray) -> dict[str, float]:
    return dict(zip(names, map(float, scores), strict=True))


def _write_keras(model: keras.Model, names: Sequence[str], path: Path) -> None:
    model.save(path, save_format="keras")
    _append_labels(names, path)


def _read_keras(path: Path) -> Classify:
    names = _labels(path)
    model = keras.models.load_model(path, compile=False)
    # As a function: op by op, B0 takes seven times as long for an image.
    images = tf.TensorSpec((None, None, None, 3), tf.uint8)
    program = tf.function(lambda images: model(images, training=False), input_signature=[images])
    return lambda image: _named(names, program(image[None]).numpy()[0])


def _write_savedmodel(model: keras.Model, names: Sequence[str], path: Path) -> None:
    classes = tf.constant(names)

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


def _read_savedmodel(path: Path) -> Classify:
    loaded = tf.saved_model.load(str(path))

    def classify(image: np.ndarray) -> dict[str, float]:
        # Through `loaded`: without it the variables are gone.
        outputs = loaded.signatures["serving_default"](images=tf.constant(image[None]))
        names = [name.decode() for name in outputs["classes"].numpy()[0]]
        return _named(names, outputs["scores"].numpy()[0])

    return classify


def _write_tflite(model: keras.Model, names: Sequence[str], path: Path) -> None:
    # One image, because its interpreter is asked for one; of any size, as it can be resized.
    images = tf.TensorSpec((1, None, None, 3), tf.uint8, "images")
    program = tf.function(lambda images: {"scores": model(images, training=False)})
    concrete = program.get_concrete_function(images)
    # Not the model itself, of which every layer would be traced again: 90 s for B0, this takes 4.
    holder = tf.Module()
    holder.held = model.variables
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder).convert())
    _append_labels(names, path)


def _read_tflite(path: Path) -> Classify:
    names = _labels(path)
    interpreter = tf.lite.Interpreter(str(path), num_threads=cores())
    (given,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()

    def classify(image: np.ndarray) -> dict[str, float]:
        interpreter.resize_tensor_input(given["index"], (1, *image.shape))
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        return _named(names, interpreter.get_tensor(scores["index"])[0])

    return classify


FORMATS: Mapping[str, Format] = {
    "keras": Format(".keras", lambda path: _starts(path, b"PK"), _write_keras, _read_keras),
    "savedmodel": Format(
        "", lambda path: (path / "saved_model.pb").is_file(), _write_savedmodel, _read_savedmodel
    ),
    "tflite": Format(
        ".tflite", lambda path: _starts(path, b"TFL3", 4), _write_tflite, _read_tflite
    ),
}
