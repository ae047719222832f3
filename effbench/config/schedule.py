"""All arithmetic of steps, epochs and stages: how long a training is, and what each part sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from effbench.config.recipe_numbers import Recipe
from effbench.errors import UsageError

SMALLEST = 32  # pixels: an EfficientNetV2 halves them five times, and one is left


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        number: its number among the recipe's stages, from 1 on.
        epochs: its epochs by their numbers in the whole training, counted from 0.
        image_size: side of its images, pixels.
        recipe: the recipe with the numbers of this stage.
    """

    number: int
    epochs: range
    image_size: int
    recipe: Recipe


def split(recipe: Recipe, image_size: int) -> list[Stage]:
    """The stages of a training, as google/automl cuts it: equal parts, values that grow evenly.

    With fewer epochs than stages, some stages have none and are left out; without epochs, all do.

    Args:
        recipe: its numbers are those of the last stage.
        image_size: that of the last stage, pixels.

    Raises:
        UsageError: the first stage's images would be too small for the network.
    """
    stages = []
    for index in range(recipe.stages):
        begin, end = (part * recipe.epochs // recipe.stages for part in (index, index + 1))
        share = index / (recipe.stages - 1) if recipe.stages > 1 else 1.0

        def grown(first: float, last: float, share: float = share) -> float:
            return first + (last - first) * share

        if begin == end:
            continue
        stages.append(
            Stage(
                index + 1,
                range(begin, end),
                round(image_size * grown(recipe.first_size, 1.0)),
                replace(
                    recipe,
                    dropout=grown(recipe.first_dropout, recipe.dropout),
                    randaugment=grown(recipe.first_randaugment, recipe.randaugment),
                    mixup=grown(recipe.first_mixup, recipe.mixup),
                ),
            )
        )
    if stages and stages[0].image_size < SMALLEST:
        raise UsageError(
            f"every stage needs images of {SMALLEST} pixels at least",
            f"{stages[0].image_size} in stage {stages[0].number}",
            "give a larger --image-size, or --set first_size=1",
        )
    return stages


def steps_per_epoch(recipe: Recipe, images: int) -> int:
    """Steps of a whole epoch over `images` training images; 0 where they fill no whole batch."""
    if recipe.way.whole_batches:
        return images // recipe.batch_size
    return math.ceil(images / recipe.batch_size)


def steps_in_epoch(recipe: Recipe, images: int, epoch: int) -> int:
    """Steps of one epoch, counted from 0; fewer than in a whole one where `recipe.steps` end it.

    Args:
        recipe: for its batch and its steps.
        images: number of training images.
        epoch: its number; an epoch after the end has 0 steps.
    """
    whole = steps_per_epoch(recipe, images)
    left = whole if recipe.steps is None else recipe.steps - epoch * whole
    return max(0, min(whole, left))


def images_in_epoch(recipe: Recipe, images: int, epoch: int) -> int:
    """Of `images` training images, those that one epoch, counted from 0, trains on."""
    return min(images, recipe.batch_size * steps_in_epoch(recipe, images, epoch))


def epochs_for_steps(recipe: Recipe, images: int, steps: int) -> int:
    """Epochs that so many steps take, the last of which may be a part."""
    return math.ceil(steps / max(1, steps_per_epoch(recipe, images)))


def epochs(recipe: Recipe, images: int) -> int:
    """Epochs of a whole training: those of the recipe, or fewer where its steps end before."""
    if recipe.steps is None:
        return recipe.epochs
    return min(recipe.epochs, epochs_for_steps(recipe, images, recipe.steps))


def rate_steps(recipe: Recipe, images: int) -> int:
    """Steps that an epoch has in the schedule of the learning rate, as the case study counted."""
    return max(1, images // recipe.batch_size)
