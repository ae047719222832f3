"""Small pictures of images, for a page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from effbench import whereabouts
from effbench.config.geometry import Geometry
from effbench.data import datasets
from effbench.data.splits import Photos, Split
from effbench.errors import DataError, DiskError
from effbench.progress import silent
from effbench.report.mistakes import Missed

# Of a photo, pixels: twice what a page shows, for fine screens.
SIDE = 144


def read(
    name: str,
    directory: Path | None,
    missed: Sequence[Missed],
    *,
    folds: int = 0,
    sha256: str = "",
) -> tuple[Mapping[int, str], str]:
    """Pictures as data URIs by position in the official files, and why there are none or "".

    Nothing is downloaded.

    Args:
        name: the name of the dataset.
        directory: where it is; by default where it was, else the caches are searched.
        missed: the images wanted; their labels must be those of the data.
        folds: of a cross-validation, whose positions are among all images; those of photos only
            are shown.
        sha256: that of the data in the records, by which it is known where they were.

    Raises:
        DataError: the data are not in `directory`, or damaged there.
        DiskError: the cache has no room for them.
    """
    if folds and name in datasets.DATASETS:
        return {}, "No thumbnails: a cross-validation has those of photos only."
    try:
        return _read(name, directory or whereabouts.of(sha256), missed, folds)
    except (DataError, DiskError):
        if directory is not None:
            raise
        return {}, f"No thumbnails: the data at hand are damaged, or have changed; {_HINT}"


_HINT = "'effbench report --html --data-dir DIR' takes them from a folder."


def _read(
    name: str, directory: Path | None, missed: Sequence[Missed], folds: int
) -> tuple[Mapping[int, str], str]:
    split = datasets.at_hand(name, directory, folds=folds)
    if split is None:
        return {}, f"No thumbnails: the data are not at hand; {_HINT}"
    positions = {int(index): position for position, index in enumerate(split.index)}
    wanted = {image.index: positions.get(image.index, -1) for image in missed}
    if not all(_same(split, wanted[image.index], image) for image in missed):
        return {}, "No thumbnails: labels or names of the data at hand are not the records'."
    chosen = split.take(np.array([*wanted.values()], np.int64))
    images = chosen.images
    if isinstance(images, Photos):
        images = images.sized(SIDE, Geometry("pad"), silent)
    pixels = images[: len(wanted)]
    return {index: _uri(image) for index, image in zip(wanted, pixels, strict=True)}, ""


def _same(split: Split, position: int, image: Missed) -> bool:
    """Whether the image at a position is the one that was missed, by all that is known of it."""
    if position < 0 or split.labels[position] != image.label:
        return False
    if image.name and isinstance(split.images, Photos):
        return split.images.names[position] == image.name
    return True


def _uri(image: np.ndarray) -> str:
    """A uint8 [height, width, 3] image as a PNG."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
