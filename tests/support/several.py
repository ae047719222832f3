"""Programs on one device, on four of TensorFlow's and on eight of XLA's, as a process of its own.

CPUs are divided at the start of a process.

Prints what came out as JSON; `test_replicas.py` reads it.
"""

import json
import sys
import tempfile
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from support import tiny
from support.records import RANDOM, spec

from effbench import progress
from effbench.config import schedule
from effbench.config.recipes import RECIPES
from effbench.data import datasets
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.hardware import devices
from effbench.hardware.distribution import Layout, OneProgram
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import layers
from effbench.training import variable_packing
from effbench.training.evaluate import Evaluator
from effbench.training.features import feature_cache, inputs
from effbench.training.fine_tuning import fine_tune, fine_tune_step
from effbench.training.heads import head_step, head_training
from effbench.training.job import Job

WIDTH, TRAIN, VALIDATION = 64, 300, 70  # 300 does not divide by 32, nor 70 by 128 or 4
RECIPE = replace(RECIPES["case-study"], epochs=3, batch_size=32)
# Images to evaluate: fewer and more than a batch of 128, and such a batch.
COUNTS = (1001, 1, 127, 128, 129)


def arrays() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    values = np.abs(generator.normal(size=(TRAIN + VALIDATION, WIDTH))).astype(np.float32)
    noise = generator.normal(0, 5, (len(values), 10))
    return values, (values @ generator.normal(size=(WIDTH, 10)) + noise).argmax(1).astype(np.uint8)


def gather(values: np.ndarray, layout: Layout):
    held = layout.hold(values)
    return lambda positions: tf.gather(held, positions)


def heads(layout: Layout, engine: Engine) -> dict[str, object]:
    values, labels = arrays()
    traces = []
    build = head_step.HeadTrainer

    class Counted(build):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            traces.append(self._run)

    head_training.HeadTrainer = Counted
    with layout.scope():
        held_out = gather(values[TRAIN:], layout)
        evaluator = Evaluator(held_out, VALIDATION, layout, engine=engine)
        lookup = gather(values[:TRAIN], layout)
        task = head_step.HeadTask(
            lookup, labels[:TRAIN], evaluator, labels[TRAIN:], WIDTH, layout, engine=engine
        )
        trained = head_training.train(task, RECIPE, [0, 1], 1, progress.silent)
    head_training.HeadTrainer = build
    return {
        "history": [[asdict(row) for row in head.history] for head in trained],
        "kernels": [head.weights[-1][0].tolist() for head in trained],
        "traces": [count for run in (*traces, evaluator._run) for count in tracings(run)],
    }


def tracings(program: object) -> list[int]:
    """How often TensorFlow traced what it runs itself."""
    traced = getattr(program, "traced", None)
    return [traced.experimental_get_tracing_count()] if traced else []


def counted(layout: Layout, engine: Engine, images: int) -> dict[str, object]:
    """Image i has the one feature i, so its logits say which image they belong to."""
    with layout.scope():
        lookup = gather(np.arange(images, dtype=np.float32)[:, None], layout)
        evaluator = Evaluator(lookup, images, layout, engine=engine)
        kernel = np.arange(1, 11, dtype=np.float32)[None, None]
        logits = evaluator.logits(kernel, np.zeros((1, 10), np.float32))[0]
    return {"images": logits[:, 0].tolist(), "last": logits[:, 9].tolist()}


def extracted(layout: Layout, engine: Engine) -> dict[str, object]:
    images = np.random.default_rng(0).integers(0, 256, (301, 32, 32, 3), np.uint8)
    shapes = []

    def run(part: tf.Tensor) -> tf.Tensor:
        shapes.append(part.shape.as_list())
        return tf.reduce_mean(tf.cast(part, tf.float32), axis=(1, 2))

    about = feature_cache.FeatureSet("B0", "w", 32, "torch", "float32", "cpu", "", "")
    batch = feature_cache.batch_size(32, "cpu", layout.replicas) * layout.replicas
    with tempfile.TemporaryDirectory() as folder, layout.scope():
        program = engine.compile(partial(layout.map, run))
        features = feature_cache.extract(
            program, batch, [(about, images)], Path(folder), progress.silent
        )
    return {
        "right": bool(np.allclose(features.values, images.mean(axis=(1, 2)), rtol=1e-5)),
        "shapes": shapes,
    }


def in_every_step(device: devices.Device) -> dict[str, object]:
    """Training and logits with a small network in every step, as without cached features."""
    dataset = datasets.load("digits").limited(60)
    keras.utils.set_random_seed(0)
    network = [keras.layers.Conv2D(16, 3, 4), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((24, 24, 3)), *network])
    model.trainable = False
    layout = device.layout
    job = Job(
        (spec(recipe=RECIPE, image_size=24, weights=RANDOM),), Path(), None, None, "", "cpu", 0.0
    )
    model = layout.mirror(model)
    with layout.scope():
        looked = inputs.direct(job, dataset, model, device)
        splits = dataset.splits
        evaluators = [
            Evaluator(lookup, len(split.labels), layout)
            for lookup, split in zip(looked, splits, strict=True)
        ]
        task = head_step.HeadTask(
            looked[0], splits[0].labels, evaluators[1], splits[1].labels, 16, layout
        )
        (head,) = head_training.train(task, RECIPE, [0], 1, progress.silent)
        kernel, bias = head.weights[-1]
        logits = evaluators[2].logits(kernel[None], bias[None])[0]
    return {"history": [asdict(row) for row in head.history], "logits": logits.tolist()}


def whole(layout: Layout, engine: Engine, device: str) -> dict[str, object]:
    """A small network that trains as a whole, in two micro-batches, with all that is random."""
    recipe = replace(tiny.RECIPE, epochs=3, stages=1, layer_decay=0.9)
    task = tiny.task(recipe, layout, engine=engine, micro_batch=8, device=device)
    with layout.scope():
        # BatchNorm's statistics would be each replica's own.
        trainer = fine_tune_step.NetworkTrainer(*tiny.build(norm=False), task)
        with tempfile.TemporaryDirectory() as folder:
            trained = fine_tune.train(
                trainer,
                task,
                schedule.split(recipe, tiny.SIZE),
                tiny.validation(trainer, layout, engine),
                tiny.hooks(Path(folder)),
            )
            saved = tiny.hooks(Path(folder)).keeper.load()
        before = trainer.state()
        trainer.restore(saved.variables)
        # The mean of four equal floats may be another one, by a bit.
        same = all(np.allclose(*pair) for pair in zip(before, trainer.state(), strict=True))
    return {
        "history": [asdict(row) for row in trained.history],
        "weights": [weight.tolist() for weight in trained.weights[trained.epochs["val_loss"]]],
        "restored": same,
    }


def statistics(layout: Layout, engine: Engine) -> dict[str, object]:
    """With BatchNorm: the step goes through, and what it leaves can be read.

    `whole` has the augmentations, which each replica would have to trace once more.
    """
    recipe = replace(tiny.RECIPE, stages=1, flip=False, cutout=0.0, mixup=0.0)
    task = tiny.task(recipe, layout, engine=engine)
    trainer = tiny.trainer(task)
    order = np.arange(32, dtype=np.int32).reshape(2, 16)
    (stage,) = schedule.split(task.recipe, tiny.SIZE)
    with layout.scope():
        losses, _ = trainer.run(stage, order, 0, 2, 0)
    weights = trainer.weights()
    finite = all(np.isfinite(weight).all() for weight in weights)
    return {"losses": losses.tolist(), "finite": finite, "means": weights[-2].tolist()}


def activated(layout: Layout) -> list[float]:
    """The gradient of our own swish on each replica."""

    def program(part: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(part)
            total = tf.reduce_sum(layers.swish(part))
        return tape.gradient(total, part)

    with layout.scope():
        values = tf.constant(np.linspace(-3, 3, 16, dtype=np.float32))
        return tf.function(partial(layout.map, program))(values).numpy().tolist()


def main() -> None:
    variable_packing.MOST = 0  # as on a TPU, which packs what has too many variables
    four = devices.connect("cpu", replicas=4)
    assert [four.replicas, four.threads, four.hosts] == [4, 1, 1]
    one = Layout("/CPU:0")
    cases = {"1": (one, TENSORFLOW), "4": (four.layout, TENSORFLOW)}
    if find_spec("jax"):
        from effbench.engines.xla import XlaEngine

        xla = XlaEngine("cpu", 8)
        cases["8 of XLA"] = OneProgram(copies=xla.count), xla
    # XLA compiles each program anew.
    counts = {"1": COUNTS, "4": COUNTS, "8 of XLA": COUNTS[:1]}
    results = {
        name: {
            "heads": heads(layout, engine),
            "counted": {images: counted(layout, engine, images) for images in counts[name]},
            "extracted": extracted(layout, engine),
            "whole": whole(layout, engine, "cpu"),
            "statistics": statistics(layout, engine),
            "told": layout.told(np.array([3, 4], np.int32)).tolist(),
        }
        for name, (layout, engine) in cases.items()
    }
    for name, layout in (("1", one), ("4", four.layout)):
        results[name]["in every step"] = in_every_step(replace(four, layout=layout))
        results[name]["activated"] = activated(layout)
    # One is one unpacked: `test_packing`.
    results["4"]["packed"] = whole(four.layout, TENSORFLOW, "tpu")
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
