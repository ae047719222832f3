"""TensorFlow Lite (LiteRT), for phones and small computers: one image at a time."""

from __future__ import annotations

import warnings
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
        content, kept = tflite_integers.converted(concrete, holder, options.images)
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
    """Reads it with TensorFlow's interpreter."""
    names = labels(path)
    with warnings.catch_warnings(action="ignore"):  # that another package will have it
        interpreter = tf.lite.Interpreter(str(path), num_threads=cores())
    (given,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    side = int(given["shape_signature"][1])
    scale, zero = output["quantization"]
    allocated: tuple[int, ...] = ()

    def one(image: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if image.shape != allocated:
            if side < 0:
                interpreter.resize_tensor_input(given["index"], (1, *image.shape))
            interpreter.allocate_tensors()
            allocated = image.shape
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        values = interpreter.get_tensor(output["index"])[0]
        return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values

    def scores(images: np.ndarray) -> np.ndarray:
        return np.stack([one(image) for image in images])

    geometry = tflite_metadata.geometry(path) if side > 0 else Geometry()
    runtime = f"TensorFlow Lite {tf.__version__}"
    return OpenModel(names, scores, runtime, side if side > 0 else None, geometry)
