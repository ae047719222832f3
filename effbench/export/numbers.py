"""In what a model keeps its weights, as its file says."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from effbench.export.formats import FORMATS
from effbench.export.quantization import FLOAT16, FLOAT32, INT8
from effbench.hardware.tensorflow_setup import tf


def of(path: Path, kind: str) -> str:
    """A row of `quantization.PRECISIONS`.

    Args:
        path: a model that can be read.
        kind: its format, a row of `formats.FORMATS`.
    """
    row = FORMATS[kind]
    if not row.quantized:
        return row.weights.name
    with warnings.catch_warnings(action="ignore"):  # that another package will have it
        tensors = tf.lite.Interpreter(str(path)).get_tensor_details()
    types = {tensor["dtype"] for tensor in tensors}
    few = {np.int8: INT8, np.float16: FLOAT16}
    return next((few[kind] for kind in few if kind in types), FLOAT32).name
