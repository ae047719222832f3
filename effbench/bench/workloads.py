"""What the benchmarks time: our way and the plain way of the same work, each in a fresh process.

Every function sets up what it needs, then times the work itself and returns its seconds. The plain
ways leave TensorFlow's threads as they come; ours start with `devices.connect`, as runs do.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from effbench.config import schedule
from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.cpu import cores
from effbench.data import datasets
from effbench.data.splits import Rows
from effbench.engines.engine import TENSORFLOW
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone
from effbench.progress import silent
from effbench.training import optimizers
from effbench.training.evaluate import Evaluator
from effbench.training.features import feature_cache
from effbench.training.feeding import StepFeed
from effbench.training.fine_tuning.fine_tune_step import FineTuneTask, NetworkTrainer
from effbench.training.heads import head_step, head_training
from effbench.training.regression.logistic_regression import MOST_ITERATIONS, Regression

RECIPE = RECIPES["case-study"]
_PHOTOS = "photos"  # no row of `DATASETS`
# The pixels of a bench may fill the disk: they go when it ends.
ANY_ROOM = math.inf
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
    task = head_step.HeadTask(
        train, labels[:TRAIN], evaluator, labels[TRAIN:], WIDTH, device.layout
    )
    head_training.train(task, RECIPE, range(count), device.threads, silent)
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


def regression(l2: str, by: str) -> float:
    """One regression of a linear probe, to its end, by us or by scikit-learn.

    Scikit-learn ends by its own default, which is less near the solution than ours.
    """
    devices.connect("cpu")
    values, labels = _correlated_features()
    began = time.perf_counter()
    if by == "effbench":
        problem = Regression(values, labels, np.ones(CLASSES), threads=cores())
        (solution,) = problem.solutions([float(l2)])
        assert solution.converged
    else:
        LogisticRegression(C=1 / (2 * float(l2)), max_iter=MOST_ITERATIONS).fit(values, labels)
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
        program = TENSORFLOW.compile(run)
        feature_cache.extract(program, batch, [(about, pixels)], Path(folder), silent)
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


def decoded(folder: str, size: int) -> float:
    """Photos into an empty cache of pixels; their list, hashes and splits are made before."""
    dataset = datasets.load(_PHOTOS, Path(folder))
    began = time.perf_counter()
    dataset.sized(size, RECIPE.photo_geometry, silent, ANY_ROOM)
    return time.perf_counter() - began


def fed(folder: str, size: int, batch: int, batches: int) -> float:
    """So many batches of decoded photos, epoch after epoch in another order, as steps get them."""
    rows, _ = _training_rows(folder, size)
    feed, done = StepFeed(rows, batch), 0
    began = time.perf_counter()
    while done < batches:
        order = _epoch(len(rows), batch, done)
        for step in range(min(len(order), batches - done)):
            feed.pixels(order, step, step + 1)
            done += 1
    return time.perf_counter() - began


def trained(folder: str, size: int, batch: int, steps: int) -> float:
    """So many training steps of B0 on decoded photos, after the first, which compiles it."""
    devices.connect("cpu", beside=False)
    (rows, labels), variant = _training_rows(folder, size), VARIANTS["B0"]
    recipe = replace(RECIPES["finetune"], batch_size=batch)
    feed = StepFeed(rows, batch)
    model, noise = backbone.trainable(variant, "float32", recipe.survival)
    task = FineTuneTask(tf.identity, labels, recipe, variant.rescale, 0, batch, "cpu", feed=feed)
    trainer = NetworkTrainer(model, noise, task)
    stage = schedule.split(recipe, size)[-1]
    order, done = _epoch(len(rows), batch, 0), 0
    began = time.perf_counter()
    while done <= steps:
        trainer.run(stage, order, done % len(order), done % len(order) + 1, done)
        began = began if done else time.perf_counter()
        done += 1
    return time.perf_counter() - began


def _training_rows(folder: str, size: int) -> tuple[Rows, np.ndarray]:
    """The training images of a folder that was decoded before, and their labels."""
    dataset = datasets.load(_PHOTOS, Path(folder)).sized(
        size, RECIPE.photo_geometry, silent, ANY_ROOM
    )
    rows = dataset.train.pixels
    assert isinstance(rows, Rows)
    return rows, dataset.train.labels


def _epoch(images: int, batch: int, seed: int) -> np.ndarray:
    """The batches of an epoch in a random order: int32 [steps, batch]."""
    steps = images // batch
    order = np.random.default_rng(seed).permutation(images)[: steps * batch]
    return order.astype(np.int32).reshape(steps, batch)


def _features() -> tuple[np.ndarray, np.ndarray]:
    """Random features, and labels that a head can learn."""
    generator = np.random.default_rng(0)
    values = np.abs(generator.standard_normal((TRAIN + HELD_OUT, WIDTH), np.float32))
    labels = (values @ generator.standard_normal((WIDTH, CLASSES), np.float32)).argmax(axis=1)
    return values, labels.astype(np.uint8)


def _correlated_features() -> tuple[np.ndarray, np.ndarray]:
    """Random features whose variances fall as those of B0's on CIFAR-10, with labels."""
    generator = np.random.default_rng(0)
    deviations = np.sqrt(14.6 / np.arange(1, WIDTH + 1))
    rotation, _ = np.linalg.qr(generator.standard_normal((WIDTH, WIDTH)))
    values = ((generator.standard_normal((TRAIN, WIDTH)) * deviations) @ rotation).astype(
        np.float32
    )
    logits = values @ generator.standard_normal((WIDTH, CLASSES), np.float32)
    # Gumbel's noise makes the labels a draw from the softmax of the logits.
    return values, (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)


def _pixels(images: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), np.uint8)
