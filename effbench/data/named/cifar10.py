"""CIFAR-10 from its official python batches, in the case study's split."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from effbench.data.named.cifar_archive import CifarArchive, Read
from effbench.data.splits import SPLIT_SEED, Dataset, Split, hashed
from effbench.errors import DataError
from effbench.progress import Report

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE = CifarArchive(
    title="CIFAR-10",
    name="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    train="data_batch_1",
    test="test_batch",
    labels=b"labels",
)
TRAIN_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST_MD5 = {"test_batch": "40351d587109b95175f43aff81a1287e"}
# Of the images and labels of files with these md5, in this split.
SHA256 = "7276591b54681cac29f4fc25867d51639823e91e477af6607f10394e7177d87d"


def load(directory: Path | None, report: Report) -> Dataset:
    """CIFAR-10 in the case study's split, as `datasets.load` describes it."""
    url = os.environ.get("EFFBENCH_CIFAR10_URL") or URL
    read = ARCHIVE.opened(directory, url, report)
    # The hash of the whole proves as much as those of the files, which are asked what is wrong.
    with contextlib.suppress(DataError, KeyError, ValueError, TypeError):
        dataset = _split(read, checked=False)
        if dataset.sha256 == SHA256:
            return dataset
    return _split(read, checked=True)


def _split(read: Read, *, checked: bool) -> Dataset:
    """The case study's split; if `checked`, of files that have their published md5."""
    whole = ARCHIVE.images(read, TRAIN_MD5, checked=checked)
    # The permutation inside train_test_split(test_size=0.1, random_state=42).
    order = np.random.RandomState(SPLIT_SEED).permutation(len(whole.labels))
    held_out = len(order) // 10
    test = ARCHIVE.images(read, TEST_MD5, checked=checked)
    return hashed(whole.take(order[held_out:]), whole.take(order[:held_out]), test)


def at_hand(directory: Path | None) -> Split | None:
    """The test images, as `datasets.at_hand` describes it."""
    return ARCHIVE.at_hand(directory, TEST_MD5)
