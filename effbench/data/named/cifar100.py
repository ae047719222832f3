"""CIFAR-100 with its 100 fine labels, from its official python batches.

Its 10,000 test images test. For choosing, a tenth of the 50,000 training images is held out,
stratified by class.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from effbench.data.named.cifar_archive import CifarArchive
from effbench.data.splits import SPLIT_SEED, Dataset, Split, hashed
from effbench.progress import Report

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
ARCHIVE = CifarArchive(
    title="CIFAR-100",
    name="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    folder="cifar-100-python",
    train="train",
    test="test",
    labels=b"fine_labels",
)
TRAIN_MD5 = {"train": "16019d7e3df5f24257cddd939b257f8d"}
TEST_MD5 = {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
# In the order of `meta`.
_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
    crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
    lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CLASSES = tuple(_NAMES.split())


def load(directory: Path | None, report: Report) -> Dataset:
    """CIFAR-100, as `datasets.load` describes it."""
    from sklearn.model_selection import train_test_split

    url = os.environ.get("EFFBENCH_CIFAR100_URL") or URL
    read = ARCHIVE.opened(directory, url, report)
    whole, test = ARCHIVE.images(read, TRAIN_MD5), ARCHIVE.images(read, TEST_MD5)
    train, validation = train_test_split(
        np.arange(len(whole.labels)),
        test_size=0.1,
        random_state=SPLIT_SEED,
        stratify=whole.labels,
    )
    dataset = hashed(whole.take(train), whole.take(validation), test)
    return replace(dataset, classes=CLASSES, made=("validation",))


def at_hand(directory: Path | None) -> Split | None:
    """The test images, as `datasets.at_hand` describes it."""
    return ARCHIVE.at_hand(directory, TEST_MD5)
