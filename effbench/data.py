"""Datasets: uint8 images with labels, checked, split once and for all, with a content hash."""

from __future__ import annotations

import hashlib
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from effbench import cache
from effbench.errors import DataError, UsageError
from effbench.fetch import download
from effbench.progress import Report, silent

Array = np.ndarray

# The case study's: train_test_split(test_size=0.1, random_state=42).
SPLIT_SEED = 42
CLASSES = 10


@dataclass(frozen=True)
class Split:
    """Some images of a dataset.

    Attributes:
        images: uint8 [n, 32, 32, 3], RGB.
        labels: uint8 [n], 0 to 9.
        index: int64 [n], positions in the files the images come from.
    """

    images: Array
    labels: Array
    index: Array

    def take(self, chosen: Array) -> Split:
        """The images at `chosen` (int [m])."""
        return Split(self.images[chosen], self.labels[chosen], self.index[chosen])


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test images; `sha256` is that of the whole, before any limit."""

    train: Split
    validation: Split
    test: Split
    sha256: str

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, validation, test."""
        return self.train, self.validation, self.test

    def limited(self, limit: int | None) -> Dataset:
        """`limit` training images, and a quarter of it (at least 10) each of the others.

        Stratified by class and always the same images. A split that has fewer stays whole.

        Raises:
            UsageError: the limit is smaller than the number of classes, or no limit at all.
        """
        if limit is None:
            return self
        available = len(self.train.labels)
        if not CLASSES <= limit < available:
            raise UsageError(
                f"--limit takes {CLASSES} (an image of each class) to {available - 1:,} images",
                str(limit),
                "choose a number between, or leave it out to use all images",
            )
        small = max(10, limit // 4)
        return Dataset(
            _stratified(self.train, limit),
            _stratified(self.validation, small),
            _stratified(self.test, small),
            self.sha256,
        )


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


def _stratified(split: Split, size: int) -> Split:
    from sklearn.utils import resample

    if size >= len(split.labels):
        return split
    positions = np.arange(len(split.labels))
    chosen = resample(
        positions, replace=False, n_samples=size, stratify=split.labels, random_state=SPLIT_SEED
    )
    return split.take(np.sort(chosen))


def _hashed(train: Split, validation: Split, test: Split) -> Dataset:
    digest = hashlib.sha256()
    for split in (train, validation, test):
        digest.update(split.images.tobytes())
        digest.update(split.labels.tobytes())
    return Dataset(train, validation, test, digest.hexdigest())


# --- CIFAR-10, https://www.cs.toronto.edu/~kriz/cifar.html ---------------------------------------

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
CIFAR10_FOLDER = "cifar-10-batches-py"
CIFAR10_TRAIN_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
CIFAR10_TEST_MD5 = {"test_batch": "40351d587109b95175f43aff81a1287e"}
CIFAR10_HINT = (
    "get cifar-10-python.tar.gz from a machine with network and name it, or the folder it "
    "unpacks to, with --data-dir"
)


def _cifar10(directory: Path | None, report: Report) -> Dataset:
    read = _cifar10_reader(directory or cifar10_place() or _cifar10_download(report))
    images, labels = _cifar10_batches(read, CIFAR10_TRAIN_MD5)
    test_images, test_labels = _cifar10_batches(read, CIFAR10_TEST_MD5)
    whole = Split(images, labels, np.arange(len(labels)))
    # The permutation inside train_test_split(test_size=0.1, random_state=42).
    order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    held_out = len(labels) // 10
    test = Split(test_images, test_labels, np.arange(len(test_labels)))
    return _hashed(whole.take(order[held_out:]), whole.take(order[:held_out]), test)


def cifar10_place() -> Path | None:
    """Keras's copy or ours, folder or archive; None where there is none."""
    datasets = cache.keras() / "datasets"
    for folder in (
        datasets / f"{CIFAR10_FOLDER}-target" / CIFAR10_FOLDER,
        datasets / CIFAR10_FOLDER,
    ):
        if (folder / "test_batch").is_file():
            return folder
    return _cifar10_archive() if _cifar10_archive().is_file() else None


def _cifar10_archive() -> Path:
    return cache.downloads() / "cifar-10-python.tar.gz"


def _cifar10_download(report: Report) -> Path:
    url = os.environ.get("EFFBENCH_CIFAR10_URL") or CIFAR10_URL
    archive = _cifar10_archive()
    return download(url, archive, CIFAR10_ARCHIVE_MD5, DataError, CIFAR10_HINT, report)


def _cifar10_reader(place: Path) -> Callable[[str], bytes]:
    """A function from a batch's name to its bytes, for a folder or an archive."""
    folders = [place, place / CIFAR10_FOLDER]
    for folder in folders:
        if (folder / "data_batch_1").is_file():
            return lambda name: (folder / name).read_bytes()
    archives = [place] if place.is_file() else sorted(place.glob("cifar-10-python.tar.gz"))
    if not archives:
        raise DataError("no CIFAR-10 in --data-dir", str(place), CIFAR10_HINT)
    try:
        with tarfile.open(archives[0]) as tar:
            content = {
                Path(member.name).name: file.read()
                for member in tar
                if (file := tar.extractfile(member)) is not None
            }
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise DataError("not a whole tar.gz archive", str(archives[0]), CIFAR10_HINT) from error
    return content.__getitem__


def _cifar10_batches(
    read: Callable[[str], bytes], published: Mapping[str, str]
) -> tuple[Array, Array]:
    images, labels = [], []
    for name, md5 in published.items():
        try:
            content = read(name)
        except (OSError, KeyError) as error:
            raise DataError("a CIFAR-10 file is missing", name, CIFAR10_HINT) from error
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5:
            raise DataError(
                f"{name} is not the published CIFAR-10 file (md5 {md5})",
                f"{len(content):,} bytes with md5 {found}",
                CIFAR10_HINT,
            )
        batch = unpickle_arrays(content)
        images.append(np.asarray(batch[b"data"], np.uint8))
        labels.append(np.asarray(batch[b"labels"], np.uint8))
    channels_first = np.concatenate(images).reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(channels_first.transpose(0, 2, 3, 1)), np.concatenate(labels)


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain containers, and nothing else: a pickle can run any code."""

    _ALLOWED: Mapping[tuple[str, str], object] = {
        ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self._ALLOWED:
            raise DataError(
                "a data file may hold numpy arrays only", f"{module}.{name}", CIFAR10_HINT
            )
        return self._ALLOWED[module, name]


def unpickle_arrays(content: bytes) -> dict[bytes, object]:
    """Reads a Python 2 pickle of arrays.

    Raises:
        DataError: it is broken or wants to build something else.
    """
    try:
        batch = _ArrayUnpickler(BytesIO(content), encoding="bytes").load()
    except DataError:
        raise
    except Exception as error:  # a broken pickle raises whatever it happens to hit
        raise DataError("a data file is not a whole pickle", repr(error), CIFAR10_HINT) from error
    if not isinstance(batch, dict):
        raise DataError("a data file must hold a dict", type(batch).__name__, CIFAR10_HINT)
    return batch


# --- digits: scikit-learn's 8x8 handwritten digits, part of its package --------------------------


def _digits(_: Path | None, __: Report) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)
    large = grey.repeat(4, axis=1).repeat(4, axis=2)
    images = np.repeat(large[..., None], 3, axis=3)
    whole = Split(images, digits.target.astype(np.uint8), np.arange(len(images)))
    order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
    test, validation, train = np.split(order, [len(order) // 5, len(order) * 3 // 10])
    return _hashed(whole.take(train), whole.take(validation), whole.take(test))


# --- random: for measuring speed, which does not depend on what is in an image -------------------


def _random(_: Path | None, __: Report) -> Dataset:
    generator = np.random.default_rng(SPLIT_SEED)

    def split(size: int) -> Split:
        images = generator.integers(0, 256, (size, 32, 32, 3), np.uint8)
        return Split(images, generator.integers(0, CLASSES, size, np.uint8), np.arange(size))

    return _hashed(split(45_000), split(5_000), split(10_000))


DATASETS: Mapping[str, Callable[[Path | None, Report], Dataset]] = {
    "cifar10": _cifar10,
    "digits": _digits,
    "random": _random,
}
