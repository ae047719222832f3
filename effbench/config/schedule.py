"""Progressive learning: what each stage trains on, and when it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from effbench.config.recipes import Recipe
from effbench.errors import UsageError

SMALLEST = 32  # pixels: five times halved, an EfficientNetV2 has one left


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        number: from 1 on, of those that the recipe has.
        epochs: its own, of the whole training; counted from 0.
        image_size: pixels.
        recipe: with the numbers of this stage.
    """

    number: int
    epochs: range
    image_size: int
    recipe: Recipe


def split(recipe: Recipe, image_size: int) -> list[Stage]:
    """The stages of a training, as google/automl cuts it: equal parts, values that grow evenly.

    With fewer epochs than stages, some stages have none and are left out.

    Args:
        recipe: its numbers are those of the last stage.
        image_size: of the last stage, pixels.

    Raises:
        UsageError: the first stage's images would be too small for the network.
    """
    stages = []
    for place in range(recipe.stages):
        begin, end = (part * recipe.epochs // recipe.stages for part in (place, place + 1))
        share = place / (recipe.stages - 1) if recipe.stages > 1 else 1.0

        def grown(first: float, last: float, share: float = share) -> float:
            return first + (last - first) * share

        if begin == end:
            continue
        stages.append(
            Stage(
                place + 1,
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
    if stages[0].image_size < SMALLEST:
        raise UsageError(
            f"every stage needs images of {SMALLEST} pixels at least",
            f"{stages[0].image_size} in stage {stages[0].number}",
            "give a larger --image-size, or --set first_size=1",
        )
    return stages
