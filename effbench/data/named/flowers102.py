"""Oxford's 102 flowers, https://www.robots.ox.ac.uk/~vgg/data/flowers/102/.

As the EfficientNetV2 paper does, its train and validation images together train (2,040), and 6,149
test. For choosing, a tenth of those 2,040 is held out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effbench.data import photos
from effbench.data.inspecting.listing import ListedImage, Listing, ordered
from effbench.data.named.published_files import PublishedFile, all_there, obtained, unpacked
from effbench.data.splits import Dataset
from effbench.progress import Report

_URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
IMAGES = PublishedFile(
    "102flowers.tgz", f"{_URL}/102flowers.tgz", "52808999861908f626f3c1f4e79d11fa", "jpg"
)
LABELS = PublishedFile(
    "imagelabels.mat", f"{_URL}/imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"
)
SETS = PublishedFile("setid.mat", f"{_URL}/setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c")
# The names of the sets in setid.mat, and the split that their images go to.
SPLIT_OF_SET = {"trnid": "train", "valid": "train", "tstid": "test"}
HINT = (
    f"get 102flowers.tgz, imagelabels.mat and setid.mat from {_URL}/ on a machine with network or, "
    "if that page is gone, from a copy (Kaggle, the Internet Archive; "
    "https://www.tensorflow.org/datasets/catalog/oxford_flowers102 says what they are), and name "
    "their folder with --data-dir"
)


def load(directory: Path | None, report: Report) -> Dataset:
    """The flowers, their labels from "1" to "102", as `datasets.load` describes it."""
    from scipy.io import loadmat

    all_there("flowers102", (SETS, LABELS), (IMAGES,), directory, HINT)
    sets = loadmat(obtained(SETS, directory, HINT, report), squeeze_me=True)
    labels = loadmat(obtained(LABELS, directory, HINT, report), squeeze_me=True)["labels"]
    root = unpacked("flowers102", [IMAGES], directory, HINT, report)
    images = [
        ListedImage(f"jpg/image_{number:05d}.jpg", str(labels[number - 1]), split)
        for name, split in SPLIT_OF_SET.items()
        for number in np.atleast_1d(sets[name]).tolist()
    ]
    images.sort(key=lambda image: image.name)
    classes = ordered(image.label for image in images)
    return photos.of(Listing(root, tuple(images), classes, certain=True), report)
