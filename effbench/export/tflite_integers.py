"""TensorFlow Lite in whole numbers of 8 bits, but for the layers that would be too far off."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterator

import numpy as np

from effbench.export.layer_words import described
from effbench.hardware.tensorflow_setup import keras, tf

# The root of the mean square of a layer's error, in steps of its own 8 bits, above which it stays
# in float. Rounding alone makes 0.29; what collapses, as swish and squeeze-and-excitation may, far
# more.
WORST = 0.5
# Images by which layers are compared, one by one in Python.
COMPARED = 20


def converted(
    concrete: tf.types.experimental.ConcreteFunction,
    holder: tf.Module,
    backbone: keras.Model,
    images: tuple[np.ndarray, ...],
) -> tuple[bytes, tuple[str, ...]]:
    """A model whose input is uint8, and where the layers that stay in float stand.

    Args:
        concrete: the traced function, of one image.
        holder: what holds its weights.
        backbone: the network in it.
        images: training images, uint8 [side, side, 3], which show the range of every value.
    """

    def shown(count: int | None = None) -> Iterator[list[np.ndarray]]:
        return ([image[None]] for image in images[:count])

    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = shown
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    experimental = tf.lite.experimental
    options = experimental.QuantizationDebugOptions()
    debugger = experimental.QuantizationDebugger(
        converter=converter, debug_dataset=lambda: shown(COMPARED), debug_options=options
    )
    debugger.run()
    text = io.StringIO()
    debugger.layer_statistics_dump(text)
    text.seek(0)
    errors = {
        row["tensor_name"]: math.sqrt(float(row["mean_squared_error"])) / float(row["scale"])
        for row in csv.DictReader(text)
    }
    kept = [name for name, error in errors.items() if not error <= WORST]
    debugger.options = experimental.QuantizationDebugOptions(denylisted_nodes=kept)
    with contextlib.redirect_stdout(io.StringIO()):
        content = debugger.get_nondebug_quantized_model()
    return content, tuple(
        f"{described(name, backbone)} ({errors[name]:.2f} steps off)" for name in kept
    )
