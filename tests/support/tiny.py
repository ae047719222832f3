"""A network of a few layers with all that a real one has, to train in seconds.

As a program it trains it in folders, each in a process of its own, from the last checkpoint on, and
dies where it is told to: it reads lines `FOLDER [step N | fsync N]`, and answers with exit codes.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from effbench.config import schedule
from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.hardware import devices
from effbench.hardware.distribution import ALONE, Layout
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import layers, preprocessing
from effbench.progress import Report, silent
from effbench.records.store import Store
from effbench.training import checkpoints
from effbench.training.evaluate import Evaluator
from effbench.training.features import inputs as lookups
from effbench.training.fine_tuning import fine_tune, fine_tune_step
from effbench.training.metrics_log import Logs

IMAGES, HELD_OUT, SIZE = 70, 20, 64

# Every part of the loop takes part: stages, augmentation, average, stochastic depth. But not
# RandAugment, whose hundred ops take seconds to trace, and are random in the same way as the rest.
RECIPE = replace(
    RECIPES["progressive"],
    epochs=4,
    stages=2,
    first_size=0.5,
    batch_size=16,
    warmup_epochs=0.0,
    survival=0.5,
    dropout=0.2,
    randaugment=0.0,
    first_randaugment=0.0,
    mixup=0.2,
    cutout=0.25,
    selection="val_loss",
)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images whose class is how bright they are."""
    labels = np.arange(IMAGES + HELD_OUT, dtype=np.uint8) % 10
    noise = np.random.default_rng(0).integers(0, 20, (len(labels), 32, 32, 3))
    return (noise + 22 * labels[:, None, None, None]).astype(np.uint8), labels


def build(*, norm: bool = True, depth: float = 0.5) -> tuple[keras.Model, layers.Noise]:
    noise = layers.Noise()
    inputs = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(8, 3, 2, "same", use_bias=False, name="first")(inputs)
    if norm:
        first = keras.layers.BatchNormalization(momentum=0.9, name="norm")(first)
    second = keras.layers.Conv2D(8, 3, 1, "same", use_bias=False, name="second")(first)
    if depth:
        second = layers.StochasticDepth(noise, depth, name="drop")(second)
    model = keras.Model(inputs, tf.nn.silu(first + second))
    for seed, variable in enumerate(model.trainable_variables):
        if variable.shape.rank == 4:
            variable.assign(keras.initializers.GlorotUniform(seed=seed)(variable.shape))
    return model, noise


def task(
    recipe: Recipe = RECIPE, layout: Layout = ALONE, **changes: object
) -> fine_tune_step.FineTuneTask:
    images, labels = data()
    plain = fine_tune_step.FineTuneTask(
        images=lookups.gathered(images[:IMAGES], layout),
        labels=labels[:IMAGES],
        recipe=recipe,
        preprocessing="tf",
        seed=3,
        micro_batch=recipe.batch_size,
        layout=layout,
    )
    return replace(plain, **changes)


def trainer(task: fine_tune_step.FineTuneTask) -> fine_tune_step.NetworkTrainer:
    with task.layout.scope():
        return fine_tune_step.NetworkTrainer(*build(), task)


def validation(
    trainer: fine_tune_step.NetworkTrainer, layout: Layout = ALONE, engine: Engine = TENSORFLOW
) -> fine_tune.Validation:
    images, labels = data()
    model = trainer._model

    def features(pixels: tf.Tensor) -> tf.Tensor:
        maps = model(preprocessing.prepare(pixels, SIZE, "tf"), training=False)
        return tf.reduce_mean(maps, axis=(1, 2))

    lookup = lookups.gathered(images[IMAGES:], layout, features)
    evaluator = Evaluator(lookup, HELD_OUT, layout, engine=engine)
    return fine_tune.Validation(evaluator, labels[IMAGES:])


def hooks(folder: Path, minutes: float | None = 0.0, report: Report = silent) -> fine_tune.Hooks:
    """With a checkpoint after every piece, unless told otherwise."""
    store = Store(folder)
    keeper = checkpoints.Keeper(store.checkpoints("tiny"), "tiny", "test", minutes)
    return fine_tune.Hooks(keeper, lambda: False, report, Logs(store, "tiny", tensorboard=False))


def train(task: fine_tune_step.FineTuneTask, hooks: fine_tune.Hooks) -> fine_tune.Trained:
    made = trainer(task)
    with task.layout.scope():
        return fine_tune.train(
            made, task, schedule.split(task.recipe, SIZE), validation(made, task.layout), hooks
        )


def main() -> None:
    for line in sys.stdin:
        # TensorFlow is loaded, which takes as long as the training, but has not started yet.
        child = os.fork()
        if not child:
            _train(*line.split())
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _train(folder: str, *where: str) -> None:
    devices.connect("cpu", beside=False)
    fine_tune.PIECE_SECONDS = 0.0  # one step each
    _die(*where)
    trained = train(task(), hooks(Path(folder)))
    weights = [array for arrays in trained.weights.values() for array in arrays]
    np.savez(Path(folder) / "trained.npz", *weights)
    (Path(folder) / "history.txt").write_text(repr((trained.history, trained.epochs)))


def _die(what: str = "", number: str = "0") -> None:
    """Arranges for the end of this process as `kill -9` would bring it, at a given moment."""
    left = int(number)

    def counted(function):
        def call(*arguments, **named):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    if what == "step":
        fine_tune_step.NetworkTrainer.run = counted(fine_tune_step.NetworkTrainer.run)
    elif what == "fsync":  # the whole file is written, but has not its name
        os.fsync = counted(os.fsync)


if __name__ == "__main__":
    main()
