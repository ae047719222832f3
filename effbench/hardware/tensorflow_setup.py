"""The one place that imports TensorFlow, picks Keras 2, and makes TensorFlow Addons importable."""

from __future__ import annotations

import importlib
import os
import sys
import warnings

from effbench.hardware import tpu

# keras-efficientnet-v2 and TensorFlow Addons are Keras 2 code; read when tf.keras is first used.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
for _name, _value in tpu.environment().items():
    os.environ.setdefault(_name, _value)

import tensorflow as tf  # noqa: E402

# tensorflow_addons names some of Keras's modules where Keras 2 had them until TensorFlow 2.16.
# tf-keras still has them; Keras 3, found there instead, lacks one and takes 1.5 s to load.
for _name in ("", ".backend", ".engine", ".engine.keras_tensor", ".utils", ".utils.tf_utils"):
    sys.modules.setdefault(f"keras.src{_name}", importlib.import_module(f"tf_keras.src{_name}"))
import keras_efficientnet_v2  # noqa: E402 (after the choice of Keras)

with warnings.catch_warnings():
    # It announces its end of life, and that it was not tested with this TensorFlow; we know both.
    warnings.filterwarnings("ignore", category=UserWarning, module="tensorflow_addons")
    import tensorflow_addons as tfa

keras = tf.keras

__all__ = ["keras", "keras_efficientnet_v2", "tf", "tfa"]
