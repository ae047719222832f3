"""Optimizers and their schedules, as recipes name them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from effbench.config.recipe_numbers import Recipe
from effbench.config.schedule import rate_steps
from effbench.hardware.tensorflow_setup import keras, tf, tfa

# Learning rate by step.
LearningRate: TypeAlias = keras.optimizers.schedules.LearningRateSchedule


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Grows from `initial` to `maximal` over `steps` steps and stays there.

    google/automl, efficientnetv2/utils.py: `WarmupLearningRateSchedule`, "constant".
    """

    def __init__(self, initial: float, maximal: float, steps: int) -> None:
        self.initial = initial
        self.maximal = maximal
        self.steps = steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """float32 learning rate of the step with this number, counted from 0."""
        share = tf.minimum(1.0, tf.cast(step, tf.float32) / self.steps) if self.steps else 1.0
        return self.initial + (self.maximal - self.initial) * share

    def get_config(self) -> dict[str, float | int]:
        """The arguments of the constructor."""
        return {"initial": self.initial, "maximal": self.maximal, "steps": self.steps}


class TfRMSprop(keras.optimizers.legacy.RMSprop):
    """RMSprop whose mean square starts at 1, as TensorFlow 1's, which the references trained with.

    Keras's starts at 0, so that its first steps are 3 times as long.
    """

    def _create_slots(self, var_list: list[tf.Variable]) -> None:
        for variable in var_list:
            self.add_slot(variable, "rms", "ones")
        super()._create_slots(var_list)


class TorchRMSprop(keras.optimizers.legacy.RMSprop):
    """RMSprop as PyTorch has it: epsilon is added to the root, not below it.

    `torch.optim.RMSprop`, not centred. The learning rate scales a whole step, so that a change of
    it changes what is left of the steps before, too.
    """

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: Mapping | None = None
    ) -> tf.Operation:
        where = (var.device, var.dtype.base_dtype)
        rate = (apply_state or {}).get(where, self._fallback_apply_state(*where))["lr_t"]
        rho, momentum = (self._get_hyper(name, grad.dtype) for name in ("rho", "momentum"))
        square, step = self.get_slot(var, "rms"), self.get_slot(var, "momentum")
        square.assign(rho * square + (1 - rho) * tf.square(grad))
        step.assign(momentum * step + grad / (tf.sqrt(square) + self.epsilon))
        return var.assign_sub(rate * step)


def _triangular2(recipe: Recipe, low: float, high: float, steps: int) -> LearningRate:
    return tfa.optimizers.Triangular2CyclicalLearningRate(
        initial_learning_rate=low,
        maximal_learning_rate=high,
        step_size=recipe.half_cycle_epochs * steps,
    )


def _constant(recipe: Recipe, low: float, high: float, steps: int) -> LearningRate:
    return WarmUp(low, high, int(recipe.warmup_epochs * steps))


def _cosine(recipe: Recipe, low: float, high: float, steps: int) -> LearningRate:
    """Grows as in `constant`, then falls to 0 by half a cosine until the training ends."""
    warm_up = int(recipe.warmup_epochs * steps)
    end = min(recipe.epochs * steps, recipe.steps or math.inf)
    return keras.optimizers.schedules.CosineDecay(
        low if warm_up else high,
        decay_steps=max(1, int(end) - warm_up),
        warmup_target=high if warm_up else None,
        warmup_steps=warm_up,
    )


# Each takes a recipe, its lowest and highest rate, and the steps of an epoch.
SCHEDULES: Mapping[str, Callable[[Recipe, float, float, int], LearningRate]] = {
    "triangular2": _triangular2,
    "constant": _constant,
    "cosine": _cosine,
}


def schedule(recipe: Recipe, images: int) -> LearningRate:
    """The learning rate by step.

    Args:
        recipe: for its rates, its batch and the length of a cycle or of the warm-up.
        images: number of training images.
    """
    scale = recipe.batch_size / recipe.learning_rate_batch if recipe.learning_rate_batch else 1.0
    low, high = recipe.initial_learning_rate * scale, recipe.maximal_learning_rate * scale
    return SCHEDULES[recipe.schedule](recipe, low, high, rate_steps(recipe, images))


@dataclass(frozen=True)
class Kind:
    """An optimizer.

    Attributes:
        build: makes one from a recipe and its schedule.
        l2: whether weight decay is added to the gradients of kernels (all that have more than one
            dimension), or with `decay_all` of all variables, as the gradient of an L2 loss; else
            the optimizer applies it by itself.
        slots: variables that it keeps for each one that it trains.
    """

    build: Callable[[Recipe, LearningRate], keras.optimizers.legacy.Optimizer]
    l2: bool
    slots: int


def _adabelief(recipe: Recipe, rate: LearningRate) -> keras.optimizers.legacy.Optimizer:
    """Weight decay is decoupled, scaled by the learning rate, and for every variable."""
    return tfa.optimizers.AdaBelief(
        learning_rate=rate,
        beta_1=recipe.beta_1,
        beta_2=recipe.beta_2,
        epsilon=recipe.adabelief_epsilon,
        weight_decay=recipe.weight_decay,
    )


def _rmsprop(recipe: Recipe, rate: LearningRate) -> keras.optimizers.legacy.Optimizer:
    """google/automl, efficientnetv2/utils.py: `build_optimizer`."""
    return TfRMSprop(rate, rho=recipe.rho, momentum=recipe.momentum, epsilon=recipe.epsilon)


def _torch_rmsprop(recipe: Recipe, rate: LearningRate) -> keras.optimizers.legacy.Optimizer:
    return TorchRMSprop(rate, rho=recipe.rho, momentum=recipe.momentum, epsilon=recipe.epsilon)


class KernelAdamW(tfa.optimizers.AdamW):
    """AdamW that decays kernels alone: not biases, nor what BatchNorm scales and shifts by."""

    def _do_use_weight_decay(self, var: tf.Variable) -> bool:
        return bool(var.shape.rank > 1)


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule, times a factor."""

    def __init__(self, rate: LearningRate, factor: float) -> None:
        self.rate = rate
        self.factor = factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """float32, of the step with this number, counted from 0."""
        return self.rate(step) * self.factor

    def get_config(self) -> dict[str, object]:
        """The arguments of the constructor."""
        return {"rate": self.rate, "factor": self.factor}


def _adamw(recipe: Recipe, rate: LearningRate) -> keras.optimizers.legacy.Optimizer:
    """Loshchilov and Hutter 2019; weight decay is scaled by the learning rate, as in torch."""
    return KernelAdamW(
        weight_decay=Scaled(rate, recipe.weight_decay),
        learning_rate=rate,
        beta_1=recipe.beta_1,
        beta_2=recipe.beta_2,
        epsilon=recipe.adamw_epsilon,
    )


OPTIMIZERS: Mapping[str, Kind] = {
    "adabelief": Kind(_adabelief, l2=False, slots=2),
    "rmsprop": Kind(_rmsprop, l2=True, slots=2),
    "adamw": Kind(_adamw, l2=False, slots=2),
    "rmsprop-torch": Kind(_torch_rmsprop, l2=True, slots=2),
}


def build(recipe: Recipe, images: int) -> keras.optimizers.legacy.Optimizer:
    """A fresh optimizer for one run over `images` training images."""
    return OPTIMIZERS[recipe.optimizer].build(recipe, schedule(recipe, images))
