"""CIFAR-10 from its official python batches, in the case study's split."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from effbench.data.cifar_archive import CifarArchive
from effbench.data.splits import SPLIT_SEED, Dataset, Split, hashed
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


def load(directory: Path | None, report: Report) -> Dataset:
    """CIFAR-10 in the case study's split, as `datasets.load` describes it."""
    url = os.environ.get("EFFBENCH_CIFAR10_URL") or URL
    read = ARCHIVE.opened(directory, url, report)
    whole = ARCHIVE.images(read, TRAIN_MD5)
    # The permutation inside train_test_split(test_size=0.1, random_state=42).
    order = np.random.RandomState(SPLIT_SEED).permutation(len(whole.labels))
    held_out = len(order) // 10
    test = ARCHIVE.images(read, TEST_MD5)
    return hashed(whole.take(order[held_out:]), whole.take(order[:held_out]), test)


def at_hand(directory: Path | None) -> Split | None:
    """The test images, as `datasets.at_hand` describes it."""
    return ARCHIVE.at_hand(directory, TEST_MD5)
