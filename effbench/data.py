"""The datasets by name. A new one is a new row of `DATASETS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from effbench import cifar10
from effbench.dataset import CLASSES, SPLIT_SEED, Dataset, Split, hashed
from effbench.errors import UsageError
from effbench.progress import Report, silent


def load(name: str, directory: Path | None = None, report: Report = silent) -> Dataset:
    """The dataset called `name`.

    Args:
        name: of a row of `DATASETS`.
        directory: where its files are; by default Keras's cache and ours are searched, then it
            is downloaded.
        report: told of a download as it comes.

    Raises:
        DataError: it is missing or damaged.
        UsageError: there is no such dataset.
    """
    if name not in DATASETS:
        raise UsageError("unknown dataset", name, f"choose from {', '.join(DATASETS)}")
    return DATASETS[name](directory, report)


def _digits(_: Path | None, __: Report) -> Dataset:
    """Scikit-learn's 8x8 handwritten digits, part of its package."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)
    large = grey.repeat(4, axis=1).repeat(4, axis=2)
    images = np.repeat(large[..., None], 3, axis=3)
    whole = Split(images, digits.target.astype(np.uint8), np.arange(len(images)))
    order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
    test, validation, train = np.split(order, [len(order) // 5, len(order) * 3 // 10])
    return hashed(whole.take(train), whole.take(validation), whole.take(test))


def _random(_: Path | None, __: Report) -> Dataset:
    """For measuring speed, which does not depend on what is in an image."""
    generator = np.random.default_rng(SPLIT_SEED)

    def split(size: int) -> Split:
        images = generator.integers(0, 256, (size, 32, 32, 3), np.uint8)
        return Split(images, generator.integers(0, CLASSES, size, np.uint8), np.arange(size))

    return hashed(split(45_000), split(5_000), split(10_000))


DATASETS: Mapping[str, Callable[[Path | None, Report], Dataset]] = {
    "cifar10": cifar10.load,
    "digits": _digits,
    "random": _random,
}
