"""A network that trains as a whole: its steps, from images to gradients and their update.

All that is random in a step follows from the seed and the step's number, so that a training can
stop anywhere and go on in another process to the same weights.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from effbench.config.recipe_numbers import Recipe
from effbench.config.schedule import Stage, steps_per_epoch
from effbench.engines.engine import TENSORFLOW, Engine, Loop
from effbench.errors import DataError
from effbench.hardware.distribution import ALONE, Layout
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import layers, preprocessing
from effbench.training.augment import policy, rng
from effbench.training.augment.sampling import INDICES, PRODUCTS
from effbench.training.class_weights import weights
from effbench.training.evaluate import Evaluator, Lookup, ranks
from effbench.training.feeding import StepFeed
from effbench.training.fine_tuning.weight_update import WeightUpdate

# What a step's random numbers are for; others are named by their layer.
_AUGMENT, _DROPOUT = 0, 1


@dataclass(frozen=True)
class FineTuneTask:
    """What a network is trained on.

    Attributes:
        images: from what a step is given to uint8 [batch, h, w, 3]: from positions, or the identity
            where images are fed. With `maps`, to what the frozen part made of them.
        labels: their labels, int [n].
        recipe: all numbers.
        preprocessing: a row of `preprocessing.PREPROCESSING`.
        seed: the seed of all that is random.
        micro_batch: images of all replicas that go through the network at once.
        device: kind of device: "cpu", "gpu" or "tpu".
        layout: the replicas to train on.
        classes: number of classes.
        feed: gives steps their images; None where all are held on the device.
        engine: what runs the steps.
        maps: a step is given the maps of a frozen part, see `frozen_maps`, and not images.
    """

    images: Lookup
    labels: np.ndarray
    recipe: Recipe
    preprocessing: str
    seed: int
    micro_batch: int
    device: str = "cpu"
    layout: Layout = ALONE
    classes: int = 10
    feed: StepFeed | None = None
    engine: Engine = TENSORFLOW
    maps: bool = False

    @property
    def epoch_steps(self) -> int:
        """Steps of a whole epoch."""
        return steps_per_epoch(self.recipe, len(self.labels))


class NetworkTrainer:
    """A network with its head, and what updates their weights."""

    def __init__(
        self,
        model: keras.Model,
        noise: layers.Noise,
        task: FineTuneTask,
        frozen: keras.Model | None = None,
    ) -> None:
        """To be called in `task.layout.scope()`; `model` holds the weights to start from.

        Where a part of the network is frozen, `model` is the rest, see `parts.cut`; the frozen part
        runs in every step unless the step is given its maps.

        Raises:
            DataError: there are fewer images than a batch has.
        """
        if not task.epoch_steps:
            raise DataError(
                "a batch has no more images than there are to train on",
                f"{task.recipe.batch_size} of {len(task.labels)}",
                "give a smaller --batch-size",
            )
        self._model = model
        self._frozen = frozen
        self._noise = noise
        self._task = task
        width = model.output_shape[-1]
        kernel = keras.initializers.GlorotUniform(seed=task.seed)((width, task.classes))
        self.kernel = tf.Variable(kernel)
        self.bias = tf.Variable(tf.zeros(task.classes))
        self._trained = [*model.trainable_variables, self.kernel, self.bias]
        self._network = [*self._trained, *model.non_trainable_variables]
        self._update = WeightUpdate(
            task.recipe, len(task.labels), task.device, model, self._trained, self._network
        )
        self.variables = [*self._network, *self._update.variables]
        self._programs: dict[int, Loop] = {}

    def state(self) -> list[np.ndarray]:
        """All that training changes."""
        self._task.engine.settle()
        return [variable.numpy() for variable in self.variables]

    def restore(self, arrays: Sequence[ArrayLike]) -> None:
        """Goes back to what `state` returned."""
        self._assign(self.variables, arrays)

    def weights(self) -> list[np.ndarray]:
        """The arrays that are evaluated: trained ones, kernel, bias, BatchNorm's statistics."""
        self._task.engine.settle()
        return [array.numpy() for array in self._update.averaged()]

    @contextmanager
    def using(self, weights: list[np.ndarray]) -> Iterator[None]:
        """The network with other weights for a while."""
        self._task.engine.settle()
        previous = [variable.numpy() for variable in self._network]
        self._assign(self._network, weights)
        try:
            yield
        finally:
            self._assign(self._network, previous)

    def _assign(self, variables: Sequence[tf.Variable], arrays: Sequence[ArrayLike]) -> None:
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        self._task.engine.refresh(variables)

    def logits(self, evaluator: Evaluator) -> np.ndarray:
        """float32 [images, classes], with the network's present weights."""
        return evaluator.logits(self.kernel.numpy()[None], self.bias.numpy()[None])[0]

    def run(
        self, stage: Stage, order: np.ndarray, first: int, last: int, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Does some steps of an epoch; stops after one whose loss is not finite.

        Args:
            stage: that the epoch belongs to; a new one is compiled.
            order: int32 [steps, batch], the epoch's batches.
            first: index in `order` of the first step to do.
            last: index after the last step to do.
            step: number of the first step in the whole training.

        Returns:
            float32 [steps] losses and float32 [steps, 2] images right at top-1 and top-5; 0 for
            steps that were not done.
        """
        chosen = order[first:last]
        given = chosen if self._task.feed is None else self._task.feed.pixels(order, first, last)
        numbers = np.full((len(chosen), 2), self._task.seed, np.int32)
        numbers[:, 1] = np.arange(step, step + len(chosen))
        if stage.number not in self._programs:
            program = self.step(stage)
            self._programs[stage.number] = self._task.engine.loop(
                partial(self._task.layout.step, program)
            )
        losses, right = np.zeros(len(order), np.float32), np.zeros((len(order), 2), np.float32)
        labels = self._task.labels[chosen].astype(np.int32)
        losses[first:last], right[first:last] = self._programs[stage.number](given, labels, numbers)
        return losses, right

    def ready(self, stage: Stage) -> bool:
        """Whether `run` has compiled the steps of `stage` before."""
        return stage.number in self._programs

    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        self._task.engine.settle()
        return self._update.learning_rate()

    def step(self, stage: Stage) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """One step of one replica in `stage`, to be called in a `tf.function`.

        Returns:
            A function from positions int32 [batch], or images, and labels int32 [batch] of the
            global batch and int32 [2] (seed, number of the step) to the loss and, float32 [2],
            images right.
        """
        recipe, layout = stage.recipe, self._task.layout
        parts = recipe.batch_size // self._task.micro_batch
        augmentations = policy.Policy(
            flip=recipe.flip,
            crop=recipe.crop,
            zoom=recipe.crop_scale,
            cutout=recipe.cutout,
            randaugment=recipe.randaugment,
            mixup=recipe.mixup,
            cutmix=recipe.cutmix,
        )
        gradients = self._gradients(stage)
        if self._task.device == "gpu":  # a TPU's strategy compiles all; on a CPU, XLA is slow
            gradients = tf.function(gradients, jit_compile=True, autograph=False)
        apply = layout.fused(partial(self._update.apply, recipe))

        def program(
            batch: tf.Tensor, labels: tf.Tensor, numbers: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            images, targets = self._task.images(batch), tf.one_hot(labels, self._task.classes)
            # Every replica augments the global batch, so that the result does not depend on their
            # number, and images can be mixed; at 32 pixels it costs next to nothing.
            if not self._task.maps:
                images, targets = policy.augment(
                    images,
                    targets,
                    rng.derived(numbers, _AUGMENT),
                    augmentations,
                    PRODUCTS if self._task.device == "tpu" else INDICES,
                )
            images, targets = (
                tf.reshape(array, (parts, -1, *array.shape[1:])) for array in (images, targets)
            )

            def add(part: tf.Tensor, total: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
                more = gradients(images[part], targets[part], numbers, part)
                return part + 1, [old + new for old, new in zip(total, more, strict=True)]

            if parts > 1:
                # From zeros: a first part before the loop would be the whole network once more.
                zeros = [tf.zeros(variable.shape) for variable in self._trained]
                nothing = [*zeros, *[tf.constant(0.0)] * 3]  # the loss, and hits at top-1 and top-5
                _, total = tf.while_loop(lambda part, _: part < parts, add, (0, nothing))
            else:
                total = gradients(images[0], targets[0], numbers, tf.constant(0))
            *summed, loss, top1, top5 = layout.total(list(total))
            apply(summed)
            return loss, tf.stack([top1, top5])

        return program

    def _gradients(self, stage: Stage) -> Callable[..., list[tf.Tensor]]:
        """The gradients, loss and hits of a micro-batch, as shares of the global batch's."""
        recipe, layout = stage.recipe, self._task.layout
        micro = self._task.micro_batch
        weighted = recipe.class_weights != "none"
        class_weights = weights(recipe.class_weights, self._task.labels, self._task.classes)

        def run(
            images: tf.Tensor, targets: tf.Tensor, numbers: tf.Tensor, part: tf.Tensor
        ) -> list[tf.Tensor]:
            numbers = rng.derived(numbers, part)

            def kept(rate: float, purpose: int, *shape: int) -> tf.Tensor:
                """1 where something is kept, else 0; drawn for all replicas at once."""
                drawn = rng.uniform((micro, *shape), rng.derived(numbers, purpose))
                return layout.part(tf.cast(drawn >= rate, tf.float32))

            self._noise.keep = lambda name, rate: kept(rate, zlib.crc32(name.encode()) % 2**31)
            images, targets = layout.part(images), layout.part(targets)
            prepared = self._prepared(stage, images)
            with tf.GradientTape() as tape:
                maps = self._model(prepared, training=True)
                features = tf.reduce_mean(tf.cast(maps, tf.float32), axis=(1, 2))
                if recipe.dropout > 0:
                    keep = kept(recipe.dropout, _DROPOUT, features.shape[1])
                    features *= keep / (1 - recipe.dropout)
                logits = tf.matmul(features, self.kernel) + self.bias
                spread = recipe.label_smoothing / self._task.classes
                smooth = targets * (1 - recipe.label_smoothing) + spread
                losses = tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
                if weighted:
                    losses *= tf.linalg.matvec(targets, class_weights)
                loss = tf.reduce_sum(losses) / recipe.batch_size
            true = tf.argmax(targets, axis=1, output_type=tf.int32)
            rank = ranks(logits, true)
            hits = [tf.reduce_sum(tf.cast(rank < k, tf.float32)) for k in (1, 5)]
            return [*tape.gradient(loss, self._trained), loss, *hits]

        return run

    def _prepared(self, stage: Stage, images: tf.Tensor) -> tf.Tensor:
        """What the part that trains takes, of images or of the maps of the frozen part."""
        if self._task.maps:
            return images
        # Photos of an early stage shrink without antialiasing, by 2 at most. From 224 to 128
        # pixels, that left linear probes of B0's features no less accurate on 153 photos.
        prepared = preprocessing.prepare(
            images, stage.image_size, self._task.preprocessing, self._task.device
        )
        return prepared if self._frozen is None else self._frozen(prepared, training=False)
