"""Stanford's cars, 196 models: 8,144 images train, 8,041 test.

Their page is gone; the archives go on at other places. For choosing, a tenth of the training images
is held out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effbench.data import photos
from effbench.data.inspecting.listing import ListedImage, Listing
from effbench.data.named.published_files import PublishedFile, all_there, obtained, unpacked
from effbench.data.splits import Dataset
from effbench.progress import Report

_URL = "https://ai.stanford.edu/~jkrause"
TRAIN = PublishedFile(
    *("cars_train.tgz", f"{_URL}/car196/cars_train.tgz"),
    *("065e5b463ae28d29e77c1b4b166cfe61", "cars_train"),
)
TEST = PublishedFile(
    *("cars_test.tgz", f"{_URL}/car196/cars_test.tgz"),
    *("4ce7ebf6a94d07f1952d94dd34c4d501", "cars_test"),
)
DEVKIT = PublishedFile(
    *("car_devkit.tgz", f"{_URL}/cars/car_devkit.tgz"),
    *("c3b158d763b6e2245038c8ad08e45376", "devkit"),
)
TEST_LABELS = PublishedFile(
    "cars_test_annos_withlabels.mat",
    f"{_URL}/car196/cars_test_annos_withlabels.mat",
    "b0a2b23655a3edd16d84508592a98d10",
)
HINT = (
    "the page of Stanford Cars is gone: get cars_train.tgz, cars_test.tgz, car_devkit.tgz and "
    "cars_test_annos_withlabels.mat from a copy (Kaggle, the Internet Archive), and name their "
    "folder with --data-dir"
)


def load(directory: Path | None, report: Report) -> Dataset:
    """The cars, with the names of their models, as `datasets.load` describes it."""
    from scipy.io import loadmat

    all_there("cars", (TEST_LABELS,), (DEVKIT, TRAIN, TEST), directory, HINT)
    test_labels = obtained(TEST_LABELS, directory, HINT, report)
    root = unpacked("cars", [DEVKIT, TRAIN, TEST], directory, HINT, report)
    meta = loadmat(root / "devkit" / "cars_meta.mat", squeeze_me=True)
    classes = tuple(map(str, np.atleast_1d(meta["class_names"])))
    images = []
    for split, folder, path in (
        ("train", "cars_train", root / "devkit" / "cars_train_annos.mat"),
        ("test", "cars_test", test_labels),
    ):
        rows = np.atleast_1d(loadmat(path, squeeze_me=True)["annotations"])
        images += [
            ListedImage(f"{folder}/{row['fname']}", classes[int(row["class"]) - 1], split)
            for row in rows
        ]
    images.sort(key=lambda image: image.name)
    return photos.of(Listing(root, tuple(images), classes, certain=True), report)
