"""The datasets by name. A new one is a new row of `DATASETS`.

What a loader needs is imported when it loads, because the help of the command line lists the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from effbench.errors import UsageError
from effbench.progress import Report, silent

if TYPE_CHECKING:
    from effbench.data.splits import Dataset, Split

NUMBERS = tuple("0123456789")


def load(name: str, directory: Path | None = None, report: Report = silent) -> Dataset:
    """The dataset called `name`.

    Args:
        name: name of a row of `DATASETS`.
        directory: where its files are; by default Keras's cache and ours are searched, then it
            is downloaded.
        report: told of a download as it comes.

    Raises:
        DataError: it is missing or damaged.
        UsageError: there is no such dataset.
    """
    if name not in DATASETS:
        raise UsageError("unknown dataset", name, f"choose from {', '.join(DATASETS)}")
    return DATASETS[name].load(directory, report)


def at_hand(name: str, directory: Path | None = None) -> Split | None:
    """The test images of the dataset called `name`; None where they are not at hand.

    Nothing is downloaded.

    Args:
        name: name of a dataset; one that is not in `DATASETS` is not at hand.
        directory: as for `load`.

    Raises:
        DataError: the files are damaged, or not in `directory`.
    """
    return DATASETS[name].at_hand(directory) if name in DATASETS else None


def classes(name: str) -> tuple[str, ...]:
    """Names of the labels 0 to 9; for a dataset that is not in `DATASETS`, their numbers."""
    return DATASETS[name].classes if name in DATASETS else NUMBERS


def listed() -> str:
    """All names with what there is to say of them, for the help of a flag."""
    names = [f"{name} ({row.note})" if row.note else name for name, row in DATASETS.items()]
    return f"{', '.join(names[:-1])}, or {names[-1]}"


def _cifar10(directory: Path | None, report: Report) -> Dataset:
    from effbench.data import cifar10

    return cifar10.load(directory, report)


def _cifar10_at_hand(directory: Path | None) -> Split | None:
    from effbench.data import cifar10

    return cifar10.at_hand(directory)


def _digits(_: Path | None, __: Report) -> Dataset:
    """Scikit-learn's 8x8 handwritten digits, part of its package."""
    import numpy as np
    from sklearn.datasets import load_digits

    from effbench.data.splits import SPLIT_SEED, Split, hashed

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)
    large = grey.repeat(4, axis=1).repeat(4, axis=2)
    images = np.repeat(large[..., None], 3, axis=3)
    whole = Split(images, digits.target.astype(np.uint8), np.arange(len(images)))
    order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
    test, validation, train = np.split(order, [len(order) // 5, len(order) * 3 // 10])
    return hashed(whole.take(train), whole.take(validation), whole.take(test))


def _random(_: Path | None, __: Report) -> Dataset:
    """Random images, for measuring speed, which does not depend on what is in an image."""
    import numpy as np

    from effbench.data.splits import CLASSES, FULL, SPLIT_SEED, Split, hashed

    generator = np.random.default_rng(SPLIT_SEED)

    def split(size: int) -> Split:
        images = generator.integers(0, 256, (size, 32, 32, 3), np.uint8)
        return Split(images, generator.integers(0, CLASSES, size, np.uint8), np.arange(size))

    return hashed(*map(split, FULL))


@dataclass(frozen=True)
class DatasetSource:
    """Where a dataset comes from, and what its labels mean.

    Attributes:
        load: loads it, as `datasets.load` does.
        at_hand: its test images, as `datasets.at_hand` returns them.
        note: what help says of it; "" for nothing.
        classes: names of the labels 0 to 9.
    """

    load: Callable[[Path | None, Report], Dataset]
    at_hand: Callable[[Path | None], Split | None]
    note: str = ""
    classes: tuple[str, ...] = NUMBERS


# In the order of batches.meta.
_CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

DATASETS: Mapping[str, DatasetSource] = {
    "cifar10": DatasetSource(_cifar10, _cifar10_at_hand, classes=_CIFAR10_CLASSES),
    "digits": DatasetSource(_digits, lambda _: _digits(None, silent).test, "needs no download"),
    "random": DatasetSource(_random, lambda _: None, "for speed"),
}
