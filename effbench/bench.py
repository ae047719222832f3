"""Measurements of speed and memory, each a ratio within one run: machines differ and vary."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from effbench import sweep
from effbench.errors import EffbenchError
from effbench.progress import Listen
from effbench.request import Options, resolve
from effbench.runs import RunResult
from effbench.store import Store


@dataclass(frozen=True)
class Timing:
    """One thing measured.

    Attributes:
        what: was done.
        seconds: of wall-clock time.
        memory: most bytes held, 0 where it was not measured.
    """

    what: str
    seconds: float
    memory: int = 0


@dataclass(frozen=True)
class Comparison:
    """Timings of one run, and what follows from them: lines like "ratio 16.2 (at least 15)"."""

    timings: tuple[Timing, ...]
    findings: tuple[str, ...]


# How far the losses of the two ways may be apart: they add up the same numbers in another order.
LOSS_TOLERANCE = 1e-3


def probe(options: Options, listen: Listen) -> Comparison:
    """The case study's own way (the backbone in every step) against cached features.

    Both are whole sweeps, one after the other, in empty folders: process, TensorFlow, compilation
    and scoring are included.

    Raises:
        EffbenchError: a run failed, or the two ways disagree.
    """
    cached, cached_time = _sweep(replace(options, feature_cache=True), listen)
    direct, direct_time = _sweep(replace(options, feature_cache=False), listen)
    losses = [
        np.array([[row.train.loss, row.validation.loss] for row in result.history])
        for result in (cached, direct)
    ]
    apart = float(np.abs(losses[0] - losses[1]).max() / np.abs(losses[1]).max())
    scores = [result.reported for result in (cached, direct)]
    agree = f"largest difference of a loss {apart:.1e} of the largest loss"
    same = f"test images right: {scores[0].test.correct} cached, {scores[1].test.correct} direct"
    if apart > LOSS_TOLERANCE:
        raise EffbenchError("the two ways must agree", f"{agree}; {same}", "report this as a bug")
    spec = cached.spec
    return Comparison(
        (
            Timing("cached features", cached_time, cached.provenance.peak_memory),
            Timing("the backbone in every step", direct_time, direct.provenance.peak_memory),
        ),
        (
            f"{spec.variant} at {spec.image_size}, {cached.images.train:,} training images, "
            f"{spec.recipe.epochs} epochs, data: {spec.data}, {cached.provenance.device_name}",
            f"cached features are {direct_time / cached_time:.1f} times faster",
            f"{agree}; {same}",
        ),
    )


def _sweep(options: Options, listen: Listen) -> tuple[RunResult, float]:
    """One sweep with nothing cached, and its seconds."""
    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        before = os.environ.get("EFFBENCH_CACHE")
        os.environ["EFFBENCH_CACHE"] = folder
        try:
            started = time.perf_counter()
            store = Store(Path(folder))
            sweep.run(resolve(options), store, listen)
            seconds = time.perf_counter() - started
        finally:
            del os.environ["EFFBENCH_CACHE"]
            if before is not None:
                os.environ["EFFBENCH_CACHE"] = before
        records = store.load()
    if records.failures:
        raise EffbenchError("a run failed", records.failures[0].message, "mend that first")
    return records.results[0], seconds


HEAD_IMAGES, HEAD_WIDTH, HEAD_SEEDS = 45_000, 1280, 5


def heads(rounds: int) -> Comparison:
    """One head and five on 45,000 random features, and Keras's `fit` of one on the same.

    Args:
        rounds: the best of so many counts.
    """
    from effbench import devices, evaluate
    from effbench import probe as heads_module
    from effbench.backend import keras, tf
    from effbench.optimizers import build
    from effbench.progress import silent
    from effbench.recipes import RECIPES

    device = devices.connect("cpu")
    recipe = RECIPES["case-study"]
    generator = np.random.default_rng(0)
    total = HEAD_IMAGES + HEAD_IMAGES // 9
    values = np.abs(generator.standard_normal((total, HEAD_WIDTH), np.float32))
    labels = (values @ generator.standard_normal((HEAD_WIDTH, 10), np.float32)).argmax(axis=1)
    labels = labels.astype(np.uint8)

    def ours(seeds: Sequence[int]) -> None:
        on_device = tf.constant(values)

        def lookup(positions: tf.Tensor) -> tf.Tensor:
            return tf.gather(on_device, positions)

        def held_out(positions: tf.Tensor) -> tf.Tensor:
            return tf.gather(on_device, positions + HEAD_IMAGES)

        evaluator = evaluate.Evaluator(held_out, total - HEAD_IMAGES)
        task = heads_module.Task(
            lookup, labels[:HEAD_IMAGES], evaluator, labels[HEAD_IMAGES:], HEAD_WIDTH
        )
        heads_module.train(task, recipe, seeds, device.threads, silent)

    def plain_keras() -> None:
        model = keras.Sequential(
            [keras.layers.Dropout(recipe.dropout), keras.layers.Dense(10, "softmax")]
        )
        optimizer = build(recipe, HEAD_IMAGES)
        model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
        model.fit(
            values[:HEAD_IMAGES],
            labels[:HEAD_IMAGES],
            recipe.batch_size,
            recipe.epochs,
            verbose=0,
            validation_data=(values[HEAD_IMAGES:], labels[HEAD_IMAGES:]),
        )

    work: dict[str, Callable[[], None]] = {
        "one head": lambda: ours([0]),
        f"{HEAD_SEEDS} heads": lambda: ours(range(HEAD_SEEDS)),
        "one head, plain Keras fit": plain_keras,
    }
    timings = _best(work, rounds)
    one, many, fit = (timing.seconds for timing in timings)
    return Comparison(
        timings,
        (
            f"{recipe.epochs} epochs, {HEAD_IMAGES:,} x {HEAD_WIDTH} features, {device.name}",
            f"{HEAD_SEEDS} heads take {many / one:.2f} times as long as one",
            f"Keras takes {fit / one:.2f} times as long for one",
        ),
    )


def features(variant: str, images: int, rounds: int) -> Comparison:
    """Extraction into the cache against a bare `model(x, training=False)` over the same batches."""
    from effbench import devices, models
    from effbench import features as features_module
    from effbench.backend import tf
    from effbench.progress import silent
    from effbench.variants import select

    row = select(variant)[0]
    device = devices.connect("cpu")
    size, batch = row.image_size, features_module.batch_size(row.image_size, "cpu")
    model = models.build(row, size, "float32")
    pixels = np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), np.uint8)
    run = models.forward(model, size, "torch", batch, device.threads)
    mean, std = models.PREPROCESSING["torch"]

    def ours() -> None:
        with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
            about = features_module.FeatureSet(row.name, "", size, "torch", "float32", "", "", "")
            features_module.extract(run, batch, pixels, Path(folder), about, silent)

    @tf.function(reduce_retracing=True)
    def graph(x: tf.Tensor) -> tf.Tensor:
        resized = tf.image.resize(tf.cast(x, tf.float32), (size, size))
        return tf.reduce_mean(model((resized - mean) / std, training=False), axis=(1, 2))

    def bare(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[], None]:
        def loop() -> None:
            for start in range(0, images, batch):
                function(tf.constant(pixels[start : start + batch])).numpy()

        return loop

    graph(tf.constant(pixels[:batch]))
    work = {
        "effbench, compilation and cache included": ours,
        "bare loop": bare(graph.python_function),
        "bare loop in a tf.function, compilation left out": bare(graph),
    }
    timings = _best(work, rounds)
    own, eager, compiled = (timing.seconds for timing in timings)
    return Comparison(
        timings,
        (
            f"{row.name} at {size}, {images} images in batches of {batch}, {device.name}",
            f"effbench: {images / own:.1f} images/s",
            f"{eager / own:.2f} times as fast as the bare loop, {compiled / own:.2f} times as "
            "fast as that in a tf.function",
        ),
    )


def _best(work: dict[str, Callable[[], None]], rounds: int) -> tuple[Timing, ...]:
    """Each piece of work in turn, `rounds` times over; the fastest of each."""
    best = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        for what, do in work.items():
            started = time.perf_counter()
            do()
            best[what] = min(best[what], time.perf_counter() - started)
    return tuple(Timing(what, seconds) for what, seconds in best.items())
