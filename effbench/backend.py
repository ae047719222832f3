"""The one place that imports TensorFlow, picks Keras 2, and makes TensorFlow Addons importable."""

from __future__ import annotations

import importlib
import os
import sys
import warnings

# keras-efficientnet-v2 and TensorFlow Addons are Keras 2 code; read when tf.keras is first used.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

# tensorflow_addons names Keras's KerasTensor in a type annotation, at a place that Keras left in
# TensorFlow 2.16; tf-keras still has the same module.
for _name in ("engine", "engine.keras_tensor"):
    sys.modules.setdefault(f"keras.src.{_name}", importlib.import_module(f"tf_keras.src.{_name}"))
with warnings.catch_warnings():
    # It announces its end of life, and that it was not tested with this TensorFlow; we know both.
    warnings.filterwarnings("ignore", category=UserWarning, module="tensorflow_addons")
    import tensorflow_addons as tfa

keras = tf.keras

__all__ = ["keras", "tf", "tfa"]
