"""The one place that imports TensorFlow, picks Keras 2, and makes TensorFlow Addons importable."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from types import ModuleType

from effbench import lean_imports
from effbench.hardware import tpu

# keras-efficientnet-v2 and TensorFlow Addons are Keras 2 code; read when tf.keras is first used.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
for _name, _value in tpu.environment().items():
    os.environ.setdefault(_name, _value)

# TensorFlow and Keras load these, where they are there, only to take their types as well: a quarter
# of the time that every process takes to start.
with lean_imports.lean(missing=("jax", "pandas", "scipy")), warnings.catch_warnings():
    # TensorFlow Addons announces its end of life, and that it was not tested with this TensorFlow;
    # we know both.
    warnings.filterwarnings("ignore", category=UserWarning, module="tensorflow_addons")
    import tensorflow as tf

    tf.keras.Model  # noqa: B018 (Keras is loaded when it is first used)

    # tensorflow_addons names some of Keras's modules where Keras 2 had them until TensorFlow 2.16.
    # tf-keras still has them; Keras 3, found there instead, lacks one and takes 1.5 s to load.
    for _name in ("", ".backend", ".engine", ".engine.keras_tensor", ".utils", ".utils.tf_utils"):
        sys.modules.setdefault(f"keras.src{_name}", importlib.import_module(f"tf_keras.src{_name}"))
    import keras_efficientnet_v2  # after the choice of Keras
    import tensorflow_addons as tfa

    # XLA's ops among replicas, of which `tf.raw_ops` has none.
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops as xla

keras = tf.keras


def keras3() -> ModuleType:
    """Keras 3 on TensorFlow, beside Keras 2; loaded when it is first asked for, which takes 2 s."""
    # What stood in for Keras 3 has been taken by those that asked for it.
    for name, module in list(sys.modules.items()):
        if name.startswith("keras.src") and module.__name__.startswith("tf_keras"):
            del sys.modules[name]
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with lean_imports.lean(missing=("jax", "pandas", "scipy")):
        return importlib.import_module("keras")


def tflite_schema() -> ModuleType:
    """Classes for what is in a file of TensorFlow Lite."""
    return importlib.import_module("tensorflow.lite.python.schema_py_generated")


__all__ = ["keras", "keras3", "keras_efficientnet_v2", "tf", "tfa", "tflite_schema", "xla"]
