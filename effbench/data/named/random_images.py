"""Random images, for measuring speed, which does not depend on what is in an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effbench.data.datasets import DATASETS, NUMBERS
from effbench.data.splits import SPLIT_SEED, Dataset, Split, hashed
from effbench.progress import Report


def load(_: Path | None, __: Report) -> Dataset:
    """As many images as the table of datasets says, the same ones each time."""
    counts = DATASETS["random"].counts
    assert counts is not None
    generator = np.random.default_rng(SPLIT_SEED)

    def split(size: int) -> Split:
        images = generator.integers(0, 256, (size, 32, 32, 3), np.uint8)
        return Split(images, generator.integers(0, len(NUMBERS), size, np.uint8), np.arange(size))

    return hashed(*map(split, counts))
