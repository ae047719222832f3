"""TensorFlow Lite (LiteRT), for phones and small computers: one image at a time."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from effbench.config.geometry import Geometry
from effbench.cpu import cores
from effbench.export import tflite_integers, tflite_metadata
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.graph import function
from effbench.export.opened import OpenModel, append_labels, labels
from effbench.hardware.tensorflow_setup import tf

# As many hold a model's weights in memory at most.
MOST_INTERPRETERS = 8


def write(classifier: Classifier, path: Path, options: Options) -> tuple[str, ...]:
    """Writes a file with labels and metadata, whose input is resized or fixed.

    Returns:
        The layers that stay in float among whole numbers.
    """
    side = options.input_size
    # One image, because its interpreter is asked for one.
    program, images = function(classifier, (1, side, side, 3))
    concrete = program.get_concrete_function(images)
    # Not the model itself, of which every layer would be traced again: 90 s for B0, this takes 4.
    holder = tf.Module()
    holder.held = classifier.backbone.variables
    kept: tuple[str, ...] = ()
    if options.quantize.integer:
        content, kept = tflite_integers.converted(
            concrete, holder, classifier.backbone, options.images
        )
    else:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)
        if options.quantize.half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    path.write_bytes(tflite_metadata.added(content, classifier, options))
    append_labels(classifier.names, path)
    if side:
        tflite_metadata.keep_geometry(classifier, path)
    return kept


def read(path: Path) -> OpenModel:
    """Reads it with TensorFlow's interpreter, whose images are computed by one core each.

    Threads of one interpreter wait for one another at every layer, and busily: of two cores that
    others used as well, B0 at 96 pixels took 200 to 950 ms for an image, and 6 by one thread.
    """
    names = labels(path)
    content = path.read_bytes()  # which all interpreters share
    first = _Interpreter(content)
    interpreters = [first]

    def scores(images: np.ndarray) -> np.ndarray:
        while len(interpreters) < min(cores(), MOST_INTERPRETERS, len(images)):
            interpreters.append(_Interpreter(content))
        used = interpreters[: len(images)]
        with ThreadPoolExecutor(len(used)) as threads:
            shares = [images[number :: len(used)] for number in range(len(used))]
            answers = [*threads.map(_Interpreter.scores, used, shares)]
        result = np.empty((len(images), len(names)), np.float32)
        for number, answer in enumerate(answers):
            result[number :: len(used)] = answer
        return result

    geometry = tflite_metadata.geometry(path) if first.side else Geometry()
    return OpenModel(names, scores, f"TensorFlow Lite {tf.__version__}", first.side, geometry)


class _Interpreter:
    """One that takes an image at a time, by one thread."""

    def __init__(self, content: bytes) -> None:
        with warnings.catch_warnings(action="ignore"):  # that another package will have it
            self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        (self._given,), (self._output,) = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        self._allocated: tuple[int, ...] = ()

    @property
    def side(self) -> int | None:
        """Height and width of the only images that it takes; None where these are free."""
        side = int(self._given["shape_signature"][1])
        return side if side > 0 else None

    def scores(self, images: np.ndarray) -> np.ndarray:
        """From images of one shape, uint8 [n, h, w, 3], to float32 [n, classes]."""
        if images.shape[1:] != self._allocated:
            if self.side is None:
                shape = (1, *images.shape[1:])
                self._interpreter.resize_tensor_input(self._given["index"], shape)
            self._interpreter.allocate_tensors()
            self._allocated = images.shape[1:]
        values = np.concatenate([self._asked(image) for image in images])
        scale, zero = self._output["quantization"]
        return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values

    def _asked(self, image: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._given["index"], image[None])
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])
