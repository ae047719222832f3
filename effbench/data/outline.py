"""What a plan has to know of a dataset: how much there is of what, and not a single image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Outline:
    """How many images there are, of how many classes.

    Attributes:
        counts: images of train, of validation and, if there is a test split, of test.
        classes: how many they are of.
        side: their height and width, pixels; None for photos, which become as large as a network
            takes them, and stay on the disk.
    """

    counts: tuple[int, ...]
    classes: int
    side: int | None = None

    def pixels(self, size: int) -> tuple[int, int, int]:
        """The shape of an image, as a network gets it that takes images of `size` pixels."""
        side = self.side or size
        return side, side, 3


# Sets that nobody can download by a name, by the counts of those who published them: a plan needs
# no more. ImageNet (ILSVRC 2012) has no test labels; its validation images are reported on.
PUBLISHED: Mapping[str, Outline] = {"imagenet": Outline((1_281_167, 50_000), 1_000)}
