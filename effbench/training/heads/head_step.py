"""The steps of a head on a frozen backbone: dropout, one dense layer, softmax.

Where the features come from (a cached array, or the backbone run on the images of the batch) is a
`Lookup`; every step of training is the same code for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from effbench.config.recipe_numbers import Recipe
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.errors import NonFiniteError
from effbench.hardware.distribution import ALONE, Layout
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.records.scores import Epoch
from effbench.training import optimizers
from effbench.training.class_weights import weights
from effbench.training.evaluate import Evaluator, Lookup, ranks


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
