"""A process of its own that takes steps of one training when it is told to, and times each.

It ends when its standard input does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from effbench import child_process, provenance
from effbench.bench.step_messages import CASE, REPLY, Case, Reply
from effbench.config import schedule
from effbench.config.recipe_numbers import Recipe
from effbench.config.variants import VARIANTS
from effbench.errors import EffbenchError
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone, preprocessing
from effbench.training.evaluate import Evaluator, batch
from effbench.training.features import inputs
from effbench.training.fine_tuning.fine_tune_step import FineTuneTask, NetworkTrainer

CLASSES = 10
# How many different batches a training goes through again and again.
BATCHES = 4

# Takes so many training steps and then as many passes of inference; says how long each took.
Turn = Callable[[int], Reply]


def main() -> int:
    """Reads a case, then the steps of each turn."""
    channel, asked = child_process.channel(), child_process.asked()

    def send(reply: Reply) -> None:
        channel.write(REPLY.dump_json(reply, exclude_defaults=True) + b"\n")

    case = CASE.validate_json(next(asked))
    try:
        take = _keras_fit(case) if case.recipe is None else _training(case, case.recipe)
        send(take(1))
        for line in asked:
            send(take(int(line)))
    except EffbenchError as error:
        send(Reply(problem=str(error)))
        return 1
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        send(Reply(problem=f"out of memory: {child_process.described(error)}"))
        return 1
    return 0


def _training(case: Case, recipe: Recipe) -> Turn:
    """Steps as a run takes them, and inference as its validation does."""
    device = devices.connect("cpu", beside=False)
    layout, variant, size = device.layout, VARIANTS[case.variant], case.image_size
    pixels, labels = _data(BATCHES * case.batch_size)
    with layout.scope():
        model, noise = backbone.trainable(
            variant, case.precision, recipe.survival, batch_norm=recipe.batch_norm
        )
        backbone.randomize(model, 0)
        images = inputs.gathered(pixels, layout)
        task = FineTuneTask(
            images, labels, recipe, variant.rescale, 0, case.batch_size, "cpu", layout
        )
        trainer = NetworkTrainer(model, noise, task)
        forward = backbone.forward(model, size, variant.rescale, batch(layout), device.threads)
        held_out, _ = _data(batch(layout))
        evaluator = Evaluator(inputs.gathered(held_out, layout, forward), batch(layout), layout)
    stage = schedule.split(recipe, size)[-1]
    order = np.arange(len(labels), dtype=np.int32).reshape(BATCHES, -1)
    done = 0

    def step() -> None:
        nonlocal done
        index = done % BATCHES
        trainer.run(stage, order, index, index + 1, done)
        done += 1

    def take(steps: int) -> Reply:
        with layout.scope():
            train = _timed(step, steps)
            inference = _timed(lambda: trainer.logits(evaluator), steps) if case.infers else ()
        return Reply("", train, inference, batch(layout), provenance.peak_memory())

    return take


def _keras_fit(case: Case) -> Turn:
    """The same backbone under `model.fit` as anybody would write it: TensorFlow's own threads."""
    variant, size = VARIANTS[case.variant], case.image_size
    network = backbone.build(variant, size, case.precision)
    network.trainable = True
    mean, std = preprocessing.PREPROCESSING[variant.rescale]
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3), dtype=tf.uint8),
            keras.layers.Resizing(size, size),
            keras.layers.Normalization(mean=mean, variance=std**2),
            network,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(CLASSES, "softmax", dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", ["accuracy"])
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )

    def take(steps: int) -> Reply:
        pixels, labels = _data((steps + 1) * case.batch_size)
        began = time.perf_counter()
        ends.clear()
        model.fit(pixels, labels, case.batch_size, verbose=0, callbacks=[clock])
        return Reply("", tuple(np.diff([began, *ends])), memory=provenance.peak_memory())

    return take


def _timed(call: Callable[[], object], steps: int) -> tuple[float, ...]:
    """The seconds of one call, and then of each of so many more."""
    times = []
    for _ in range(steps + 1):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return tuple(times)


def _data(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images of CIFAR-10's size, and labels."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (images, 32, 32, 3), np.uint8)
    return pixels, generator.integers(0, CLASSES, images).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
