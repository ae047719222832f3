"""What `effbench bench step` asks of the processes that it times, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from effbench.config.recipe_numbers import Recipe


@dataclass(frozen=True)
class Case:
    """A training whose steps are timed, in a process of its own.

    Attributes:
        variant: its name.
        image_size: pixels.
        batch_size: images of a step.
        precision: "float32" or "mixed_bfloat16".
        recipe: the recipe with this batch size; None for Keras's `fit` with Adam.
        infers: whether passes of inference are timed, too.
    """

    variant: str
    image_size: int
    batch_size: int
    precision: str
    recipe: Recipe | None
    infers: bool = True


@dataclass(frozen=True)
class Reply:
    """What a process says after its first steps, and after each of its turns.

    Attributes:
        problem: why it ends, or "".
        train: seconds of each training step. The first of a turn does not count: it compiles, or
            finds the caches full of another process's data, or, with `fit`, waits for it to begin.
        inference: likewise of each pass over the images that validation takes at once; `fit` does
            none.
        images: how many such a pass takes.
        memory: most bytes that the process held so far.
    """

    problem: str = ""
    train: tuple[float, ...] = ()
    inference: tuple[float, ...] = ()
    images: int = 0
    memory: int = 0


CASE = TypeAdapter(Case)
REPLY = TypeAdapter(Reply)


@dataclass(frozen=True)
class Pace:
    """How long steps take.

    Attributes:
        images: how many a step takes.
        steps: how many were timed.
        best: seconds of the fastest step.
        p10: seconds that a tenth of the steps stay below; p90 and p99 likewise.
        median: seconds.
        p90: seconds.
        p99: seconds.
    """

    images: int
    steps: int
    best: float
    p10: float
    median: float
    p90: float
    p99: float

    @property
    def images_per_second(self) -> float:
        """Images a second at the median."""
        return self.images / self.median


def pace(seconds: Sequence[float], images: int) -> Pace:
    """Sums up the seconds of steps of so many images; percentiles are interpolated."""
    values = [float(value) for value in np.percentile(seconds, (0, 10, 50, 90, 99))]
    return Pace(images, len(seconds), *values)
