"""Heads on a frozen backbone, by epochs: dropout, one dense layer, softmax; all seeds together.

The recipe `linear-probe` has no epochs: `logistic_regression` solves its head to the end.

Where the features come from (a cached array, or the backbone run on the images of the batch) is a
`Lookup`; every step of training is the same code for both.
"""

from __future__ import annotations

import math
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from effbench.config.recipe_numbers import Recipe
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.errors import NonFiniteError
from effbench.hardware.distribution import ALONE, Layout
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.progress import Report, Step
from effbench.records.scores import SELECTIONS, Epoch, Scores
from effbench.training import optimizers
from effbench.training.class_weights import weights
from effbench.training.evaluate import LOOK, Evaluator, Lookup, ranks, score


@dataclass(frozen=True)
class HeadTask:
    """What heads are trained on.

    Attributes:
        lookup: features of the training images by position.
        labels: int [n] of the training images.
        evaluator: evaluates the validation images.
        validation_labels: their labels, int [m].
        width: number of features.
        classes: number of classes.
        layout: the replicas to train on.
        engine: what runs the steps.
    """

    lookup: Lookup
    labels: np.ndarray
    evaluator: Evaluator
    validation_labels: np.ndarray
    width: int
    layout: Layout = ALONE
    classes: int = 10
    engine: Engine = TENSORFLOW


@dataclass
class Head:
    """One seed's head as it trains.

    Attributes:
        seed: the seed of its initial weights, dropout and shuffling.
        state: kernel, bias and the optimizer's variables, as arrays.
        history: an entry an epoch.
        weights: (kernel float32 [width, classes], bias float32 [classes]) after each epoch.
        error: why it stopped early.
    """

    seed: int
    state: list[np.ndarray]
    history: list[Epoch] = field(default_factory=list)
    weights: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    error: NonFiniteError | None = None


def train(
    task: HeadTask, recipe: Recipe, seeds: Sequence[int], threads: int, report: Report
) -> list[Head]:
    """Trains one head a seed; each comes out the same whichever others train beside it.

    Args:
        task: images and features.
        recipe: all numbers.
        seeds: one head each.
        threads: heads that train at the same time.
        report: told of every epoch.

    Returns:
        The heads, in the order of `seeds`; one that left the finite numbers has its `error` set.
    """
    with task.layout.scope():
        trainers = [HeadTrainer(task, recipe) for _ in range(min(threads, len(seeds)))]
    heads = [Head(seed, trainers[0].fresh(seed)) for seed in seeds]
    # The head with the fewest epochs goes next, so that all threads stay busy to the end.
    waiting: queue.PriorityQueue[tuple[int, int]] = queue.PriorityQueue()
    for index in range(len(heads)):
        waiting.put((0, index))
    total = recipe.epochs * len(heads)

    def work(trainer: HeadTrainer) -> None:
        with task.layout.scope():  # threads inherit none
            rounds(trainer)

    def rounds(trainer: HeadTrainer) -> None:
        while True:
            try:
                epoch, index = waiting.get_nowait()
            except queue.Empty:
                return  # each head that is not done is with another thread, which goes on with it
            head = heads[index]
            _one_epoch(trainer, task, recipe, head)
            done = sum(len(probe.history) for probe in heads)
            report(Step("train", done, total, "epochs", _note(head)))
            if head.error is None and epoch + 1 < recipe.epochs:
                waiting.put((epoch + 1, index))

    report(Step("train", 0, total, "epochs"))
    with ThreadPoolExecutor(len(trainers)) as pool:
        list(pool.map(work, trainers))
    return heads


def choose(history: Sequence[Epoch], rule: str) -> int:
    """The index in `history` that a rule of `scores.SELECTIONS` chooses; the first of equals."""
    return min(range(len(history)), key=lambda index: SELECTIONS[rule](history[index]))


def shuffled(images: int, batch_size: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """The batches of one epoch: every image once.

    As with Keras's `fit`, the last batch is smaller; it is padded, and the padding weighs nothing.

    Returns:
        Positions int32 [steps, batch], and each image's share of its batch's mean loss, float32
        [steps, batch].
    """
    steps = math.ceil(images / batch_size)
    order = np.zeros(steps * batch_size, np.int32)
    order[:images] = np.random.default_rng((seed, epoch)).permutation(images)
    real = (np.arange(steps * batch_size) < images).reshape(steps, batch_size)
    share = real / real.sum(axis=1, keepdims=True)
    return order.reshape(steps, batch_size), share.astype(np.float32)


def keep_mask(rate: float, shape: tuple[int, int], seed: tf.Tensor) -> tf.Tensor:
    """Which features dropout keeps, with probability 1 - `rate`.

    Random numbers are most of the cost of a step, so an entry gets one byte instead of a float's
    four. A byte compares with rate * 256; the fraction of that is made up by a random choice
    between the two thresholds around it for each row, so that the rate is exact.

    Args:
        rate: 0 to 255/256.
        shape: (rows, columns); columns are a multiple of 4.
        seed: int32 [2].

    Returns:
        bool [rows, columns].

    Raises:
        ValueError: the rate is out of range.
    """
    if not 0 <= rate <= 255 / 256:
        raise ValueError(f"dropout rate {rate} is not within 0 and 255/256")
    rows, columns = shape
    words = tf.random.stateless_uniform(
        (rows, columns // 4 + 1), seed, None, None, tf.uint32, alg="philox"
    )
    threshold = math.floor(rate * 256)
    higher = int((rate * 256 - threshold) * 2**32)
    thresholds = tf.cast(words[:, -1:] < tf.constant(higher, tf.uint32), tf.uint8) + threshold
    random_bytes = tf.reshape(tf.bitcast(words[:, :-1], tf.uint8), (rows, columns))
    return random_bytes >= thresholds


class HeadTrainer:
    """One epoch of one head, compiled; the head's state goes in and comes out as arrays."""

    def __init__(self, task: HeadTask, recipe: Recipe) -> None:
        self._recipe = recipe
        self._lookup = task.lookup
        self._labels = task.labels.astype(np.int32)
        self._weights = weights(recipe.class_weights, task.labels, task.classes)
        self._layout = task.layout
        self._engine = task.engine
        self._run = task.engine.compile(self._steps)
        self._width, self._classes = task.width, task.classes
        self._kernel = tf.Variable(tf.zeros((task.width, task.classes)))
        self._bias = tf.Variable(tf.zeros(task.classes))
        self._optimizer = optimizers.build(recipe, len(task.labels))
        # Before the first step, which is traced and may create no variables.
        self._optimizer._create_all_weights([self._kernel, self._bias])
        self._variables = [self._kernel, self._bias, *self._optimizer.variables()]
        self._zeros = [variable.numpy() for variable in self._optimizer.variables()]

    def fresh(self, seed: int) -> list[np.ndarray]:
        """The state before the first step: Glorot uniform kernel, zero bias, fresh optimizer."""
        shape = (self._width, self._classes)
        kernel = keras.initializers.GlorotUniform(seed=seed)(shape).numpy()
        iterations = np.asarray(self._recipe.start_step, self._zeros[0].dtype)
        return [kernel, np.zeros(self._classes, np.float32), iterations, *self._zeros[1:]]

    def epoch(self, head: Head) -> tuple[np.ndarray, np.ndarray]:
        """Trains `head` for its next epoch and updates its state.

        Returns:
            float32 [steps] losses and int32 [2], the images right at top-1 and at top-5.
        """
        number = len(head.history)
        order, share = shuffled(len(self._labels), self._recipe.batch_size, head.seed, number)
        for variable, value in zip(self._variables, head.state, strict=True):
            variable.assign(value)
        self._engine.refresh(self._variables)
        first_step = number * len(order)
        losses, right = self._run(
            order,
            self._labels[order],
            share * self._weights[self._labels[order]],
            np.array([head.seed, first_step], np.int32),
        )
        self._engine.settle()
        head.state = [variable.numpy() for variable in self._variables]
        return losses, right

    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        schedule = self._optimizer._get_hyper("learning_rate")
        return float(schedule(self._optimizer.iterations - 1))

    def _steps(
        self, order: tf.Tensor, labels: tf.Tensor, share: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """All steps of an epoch in one call: Python takes no part in the loop."""
        steps = order.shape[0]

        def one(
            step: tf.Tensor, losses: tf.TensorArray, right: tf.Tensor
        ) -> tuple[tf.Tensor, tf.TensorArray, tf.Tensor]:
            loss, hits = self._layout.step(
                self.step, order[step], labels[step], share[step], seed + tf.stack([0, step])
            )
            return step + 1, losses.write(step, loss), right + hits

        _, losses, right = tf.while_loop(
            lambda step, *_: step < steps,
            one,
            (0, tf.TensorArray(tf.float32, steps), tf.zeros(2)),
        )
        return losses.stack(), tf.cast(right, tf.int32)

    def step(
        self, batch: tf.Tensor, labels: tf.Tensor, share: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step of one replica; all that comes in is of the global batch."""
        batch, labels, share = (self._layout.part(rows) for rows in (batch, labels, share))
        features = self._lookup(batch)
        rate = self._recipe.dropout
        if rate > 0:
            # Drawn for the global batch, so that it does not depend on the number of replicas.
            keep = keep_mask(rate, (self._recipe.batch_size, self._width), seed)
            features = tf.where(self._layout.part(keep), features, 0.0)
        with tf.GradientTape() as tape:
            # Inverted dropout, its factor on the kernel, which is much smaller than the features.
            logits = tf.matmul(features, self._kernel / (1 - rate)) + self._bias
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(losses * share)
        variables = [self._kernel, self._bias]
        rank, real = ranks(logits, labels), share > 0
        hits = [tf.reduce_sum(tf.cast((rank < k) & real, tf.float32)) for k in (1, 5)]
        # Shares of the global batch's mean: their sums are what one replica would compute. The hits
        # are floats (exact to 2^24) because what is added up together has one dtype.
        *gradients, loss, top1, top5 = self._layout.total(
            [*tape.gradient(loss, variables), loss, *hits]
        )
        self._optimizer.apply_gradients(
            zip(gradients, variables, strict=True), experimental_aggregate_gradients=False
        )
        return loss, tf.stack([top1, top5])


def _one_epoch(trainer: HeadTrainer, task: HeadTask, recipe: Recipe, head: Head) -> None:
    losses, right = trainer.epoch(head)
    number = len(head.history) + 1
    if not np.isfinite(losses).all():
        step = int(np.flatnonzero(~np.isfinite(losses))[0])
        head.error = NonFiniteError(
            "the training loss is not finite",
            f"{losses[step]} at step {step + 1} of {len(losses)} in epoch {number}, seed "
            f"{head.seed}, learning rate up to {recipe.maximal_learning_rate:g}",
            LOOK,
        )
        return
    kernel, bias = head.state[:2]
    try:
        validation = score(
            task.evaluator.logits(kernel[None], bias[None])[0], task.validation_labels
        )
    except NonFiniteError:
        head.error = NonFiniteError(
            "the validation outputs are not finite", f"epoch {number}, seed {head.seed}", LOOK
        )
        return
    images = len(task.labels)
    # Every batch but the last has the same number of images; the mean is over images.
    sizes = np.minimum(recipe.batch_size, images - recipe.batch_size * np.arange(len(losses)))
    mean_loss = float((losses.astype(np.float64) * sizes).sum() / images)
    head.history.append(
        Epoch(
            number,
            trainer.learning_rate(),
            Scores(int(right[0]), int(right[1]), images, mean_loss),
            validation,
        )
    )
    head.weights.append((kernel, bias))


def _note(head: Head) -> str:
    if not head.history:
        return ""
    last = head.history[-1]
    return (
        f"seed {head.seed} epoch {last.epoch}: loss {last.train.loss:.4f}, "
        f"val loss {last.validation.loss:.4f}, val acc {last.validation.accuracy:.2%}"
    )
