"""Scikit-learn's 1,797 handwritten digits of 8x8 pixels, a file of its package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from effbench.data.splits import SPLIT_SEED, Dataset, Split, hashed
from effbench.progress import Report, silent

# Every pixel becomes a square of so many, which makes images of 32.
_ENLARGED = 4


def load(_: Path | None, __: Report) -> Dataset:
    """The dataset; scikit-learn itself is not loaded for it."""
    package = find_spec("sklearn")
    assert package is not None
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0], "datasets/data/digits.csv.gz")
    *pixels, labels = np.loadtxt(file, np.uint8, delimiter=",", unpack=True)
    ink = np.stack(pixels, axis=1).reshape(-1, 8, 8)  # 0 to 16
    grey = np.round(ink * (255 / 16)).astype(np.uint8)
    large = grey.repeat(_ENLARGED, axis=1).repeat(_ENLARGED, axis=2)
    images = np.repeat(large[..., None], 3, axis=3)
    whole = Split(images, labels, np.arange(len(images)))
    order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
    test, validation, train = np.split(order, [len(order) // 5, len(order) * 3 // 10])
    return hashed(whole.take(train), whole.take(validation), whole.take(test))


def at_hand(_: Path | None) -> Split | None:
    """The test images, which are always here."""
    return load(None, silent).test
