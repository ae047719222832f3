"""CIFAR-10 from its official python batches, https://www.cs.toronto.edu/~kriz/cifar.html."""

from __future__ import annotations

import hashlib
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from effbench import cache
from effbench.data.download import download
from effbench.data.splits import SPLIT_SEED, Dataset, Split, hashed
from effbench.errors import DataError
from effbench.progress import Report

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
FOLDER = "cifar-10-batches-py"
TRAIN_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST_MD5 = {"test_batch": "40351d587109b95175f43aff81a1287e"}
HINT = (
    "get cifar-10-python.tar.gz from a machine with network and name it, or the folder it "
    "unpacks to, with --data-dir"
)


def load(directory: Path | None, report: Report) -> Dataset:
    """CIFAR-10 in the case study's split, as `datasets.load` describes it."""
    read = _reader(directory or local_copy() or _download(report))
    whole = _batches(read, TRAIN_MD5)
    # The permutation inside train_test_split(test_size=0.1, random_state=42).
    order = np.random.RandomState(SPLIT_SEED).permutation(len(whole.labels))
    held_out = len(order) // 10
    test = _batches(read, TEST_MD5)
    return hashed(whole.take(order[held_out:]), whole.take(order[:held_out]), test)


def at_hand(directory: Path | None) -> Split | None:
    """The test images, as `datasets.at_hand` describes it."""
    source = directory or local_copy()
    return _batches(_reader(source), TEST_MD5) if source else None


def local_copy() -> Path | None:
    """Keras's copy or ours, folder or archive; None where there is none."""
    datasets = cache.keras() / "datasets"
    for folder in (datasets / f"{FOLDER}-target" / FOLDER, datasets / FOLDER):
        if (folder / "test_batch").is_file():
            return folder
    return _archive() if _archive().is_file() else None


def _archive() -> Path:
    return cache.downloads() / "cifar-10-python.tar.gz"


def _download(report: Report) -> Path:
    url = os.environ.get("EFFBENCH_CIFAR10_URL") or URL
    archive = _archive()
    return download(url, archive, ARCHIVE_MD5, DataError, HINT, report)


def _reader(source: Path) -> Callable[[str], bytes]:
    """A function from a batch's name to its bytes, for a folder or an archive."""
    folders = [source, source / FOLDER]
    for folder in folders:
        if (folder / "data_batch_1").is_file():
            return lambda name: (folder / name).read_bytes()
    archives = [source] if source.is_file() else sorted(source.glob("cifar-10-python.tar.gz"))
    if not archives:
        raise DataError("no CIFAR-10 in --data-dir", str(source), HINT)
    try:
        with tarfile.open(archives[0]) as tar:
            content = {
                Path(member.name).name: file.read()
                for member in tar
                if (file := tar.extractfile(member)) is not None
            }
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise DataError("not a whole tar.gz archive", str(archives[0]), HINT) from error
    return content.__getitem__


def _batches(read: Callable[[str], bytes], published: Mapping[str, str]) -> Split:
    """All images of some files, in the order of the files."""
    images, labels = [], []
    for name, md5 in published.items():
        try:
            content = read(name)
        except (OSError, KeyError) as error:
            raise DataError("a CIFAR-10 file is missing", name, HINT) from error
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if digest != md5:
            raise DataError(
                f"{name} is not the published CIFAR-10 file (md5 {md5})",
                f"{len(content):,} bytes with md5 {digest}",
                HINT,
            )
        batch = unpickle_arrays(content)
        images.append(np.asarray(batch[b"data"], np.uint8))
        labels.append(np.asarray(batch[b"labels"], np.uint8))
    channels_first = np.concatenate(images).reshape(-1, 3, 32, 32)
    channels_last = np.ascontiguousarray(channels_first.transpose(0, 2, 3, 1))
    return Split(channels_last, np.concatenate(labels), np.arange(len(channels_last)))


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain containers, and nothing else: a pickle can run any code."""

    _ALLOWED: Mapping[tuple[str, str], object] = {
        ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self._ALLOWED:
            raise DataError("a data file may hold numpy arrays only", f"{module}.{name}", HINT)
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
        raise DataError("a data file is not a whole pickle", repr(error), HINT) from error
    if not isinstance(batch, dict):
        raise DataError("a data file must hold a dict", type(batch).__name__, HINT)
    return batch
