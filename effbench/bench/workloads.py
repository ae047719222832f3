"""What the benchmarks time: our way and the plain way of the same work, each in a fresh process.

Every function sets up what it needs, then times the work itself and returns its seconds. The plain
ways leave TensorFlow's threads as they come; ours start with `devices.connect`, as runs do.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone
from effbench.progress import silent
from effbench.training import feature_cache, linear_probe, optimizers
from effbench.training.evaluate import Evaluator

RECIPE = RECIPES["case-study"]
TRAIN, HELD_OUT, WIDTH, CLASSES = 45_000, 5_000, 1280, 10


def heads(count: int) -> float:
    """Training of `count` heads, from arrays in memory to weights, compilation included."""
    device = devices.connect("cpu")
    values, labels = _features()
    began = time.perf_counter()
    on_device = tf.constant(values)

    def train(positions: tf.Tensor) -> tf.Tensor:
        return tf.gather(on_device, positions)

    def held_out(positions: tf.Tensor) -> tf.Tensor:
        return tf.gather(on_device, positions + TRAIN)

    evaluator = Evaluator(held_out, HELD_OUT)
    task = linear_probe.ProbeTask(
        train, labels[:TRAIN], evaluator, labels[TRAIN:], WIDTH, device.layout
    )
    linear_probe.train(task, RECIPE, range(count), device.threads, silent)
    return time.perf_counter() - began


def keras_fit() -> float:
    """Training of one such head by Keras's `fit`, compilation included."""
    values, labels = _features()
    began = time.perf_counter()
    model = keras.Sequential(
        [keras.layers.Dropout(RECIPE.dropout), keras.layers.Dense(CLASSES, "softmax")]
    )
    optimizer = optimizers.build(RECIPE, TRAIN)
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(
        values[:TRAIN],
        labels[:TRAIN],
        RECIPE.batch_size,
        RECIPE.epochs,
        verbose=0,
        validation_data=(values[TRAIN:], labels[TRAIN:]),
    )
    return time.perf_counter() - began


def extraction(name: str, images: int) -> float:
    """Features of random images into an empty cache, compilation included."""
    device = devices.connect("cpu")
    size = VARIANTS[name].image_size
    model = backbone.build(VARIANTS[name], size, "float32")
    batch = feature_cache.batch_size(size, device.kind)
    run = backbone.forward(model, size, "torch", batch, device.threads)
    about = feature_cache.FeatureSet(name, "", size, "torch", "float32", device.kind, "", "")
    pixels = _pixels(images)
    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        began = time.perf_counter()
        feature_cache.extract(run, batch, pixels, Path(folder), about, silent)
        return time.perf_counter() - began


def bare_loop(name: str, images: int, compiled: bool) -> float:
    """`model(x, training=False)` over the same batches, pooled.

    With `compiled` in a `tf.function`, its compilation included.
    """
    size = VARIANTS[name].image_size
    model = backbone.build(VARIANTS[name], size, "float32")
    batch = feature_cache.batch_size(size, "cpu")
    plain = backbone.forward(model, size, "torch", batch, towers=1)
    run = tf.function(plain) if compiled else plain
    pixels = _pixels(images)
    began = time.perf_counter()
    for start in range(0, images, batch):
        run(tf.constant(pixels[start : start + batch])).numpy()
    return time.perf_counter() - began


def _features() -> tuple[np.ndarray, np.ndarray]:
    """Random features, and labels that a head can learn."""
    generator = np.random.default_rng(0)
    values = np.abs(generator.standard_normal((TRAIN + HELD_OUT, WIDTH), np.float32))
    labels = (values @ generator.standard_normal((WIDTH, CLASSES), np.float32)).argmax(axis=1)
    return values, labels.astype(np.uint8)


def _pixels(images: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), np.uint8)
