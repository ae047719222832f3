"""Images for exported models: files and datasets, decoded as those that models train on."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from effbench.cpu import cores
from effbench.data.photos import PhotoFiles
from effbench.data.pixels.decoding import FORMATS, decode
from effbench.data.pixels.decoding_tasks import content
from effbench.data.splits import Split
from effbench.export.opened import OpenModel

# Images of one shape that a model is asked for at once, unless their bytes are more: as a model
# resizes them, they take four times as many.
BATCH = 32
MOST_BYTES = 2**25

Source = TypeVar("Source")
Decoded = TypeVar("Decoded")


def pixels(path: Path) -> np.ndarray:
    """An image as those are that a model trains on, see `decoding.decode`: uint8 [h, w, 3], RGB.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    return np.asarray(decode(content(str(path)), (*FORMATS, "TIFF")).image)


def ahead(function: Callable[[Source], Decoded], sources: Iterable[Source]) -> Iterator[Decoded]:
    """What a function gives for each, in their order, by threads; only a few are in memory."""
    waiting: deque[Future[Decoded]] = deque()
    # Decoders turn warnings off and on again, all threads at once: here they are off throughout.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(cores()) as threads:
        for source in sources:
            waiting.append(threads.submit(function, source))
            if len(waiting) > 2 * cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def of(split: Split) -> Iterator[np.ndarray]:
    """The images of a split in their order, uint8 [h, w, 3]; photos in their own sizes."""
    images = split.images
    if isinstance(images, PhotoFiles):
        yield from ahead(pixels, (images.root / name for name in images.names))
    else:
        for first in range(0, len(split.labels), BATCH):
            yield from split.pixels[first : first + BATCH]


def fitted(split: Split, model: OpenModel, count: int) -> tuple[np.ndarray, ...]:
    """So many images from all over a split, as a model takes them."""
    chosen = np.unique(np.linspace(0, len(split.labels) - 1, count).astype(int))
    return tuple(model.fitted(image) for image in of(split.take(chosen)))


def batches(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Images that follow one another in one shape, as many as may be: uint8 [n, h, w, 3]."""
    for shape, same in groupby(images, lambda image: image.shape):
        while batch := list(islice(same, min(BATCH, MOST_BYTES // math.prod(shape) or 1))):
            yield np.stack(batch)
