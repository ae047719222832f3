"""Optimizers and their schedules, as recipes name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from effbench.backend import keras, tfa
from effbench.recipes import Recipe


def schedule(recipe: Recipe, images: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate by step: triangular2, halved each cycle.

    Args:
        recipe: for its rates, its batch and the length of a cycle.
        images: number of training images.
    """
    steps = max(1, images // recipe.batch_size)
    return tfa.optimizers.Triangular2CyclicalLearningRate(
        initial_learning_rate=recipe.initial_learning_rate,
        maximal_learning_rate=recipe.maximal_learning_rate,
        step_size=recipe.half_cycle_epochs * steps,
    )


def _adabelief(recipe: Recipe, images: int) -> keras.optimizers.legacy.Optimizer:
    return tfa.optimizers.AdaBelief(
        learning_rate=schedule(recipe, images), weight_decay=recipe.weight_decay
    )


OPTIMIZERS: Mapping[str, Callable[[Recipe, int], keras.optimizers.legacy.Optimizer]] = {
    "adabelief": _adabelief,
}


def build(recipe: Recipe, images: int) -> keras.optimizers.legacy.Optimizer:
    """A fresh optimizer for one run over `images` training images."""
    return OPTIMIZERS[recipe.optimizer](recipe, images)
