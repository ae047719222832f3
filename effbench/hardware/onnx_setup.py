"""The one place that imports what converts to ONNX: quietly, and after our set-up of TensorFlow."""

from __future__ import annotations

import logging

# Else it would import TensorFlow with another Keras.
from effbench.hardware import tensorflow_setup  # noqa: F401 (for what it does)
from effbench.lean_imports import lean

with lean(missing=()):
    import onnx
    import onnxruntime
    import tf2onnx

logging.getLogger("tf2onnx").setLevel(logging.ERROR)

__all__ = ("onnx", "onnxruntime", "tf2onnx")
