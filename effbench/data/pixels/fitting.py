"""From a decoded image to a square of pixels, by each row of the tables of `config.geometry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from PIL import Image, ImageOps
from PIL.Image import Resampling

from effbench.config.geometry import Geometry

Fit = Callable[[Image.Image, tuple[int, int], Resampling], Image.Image]

FIT_FUNCTIONS: Mapping[str, Fit] = {
    "squash": Image.Image.resize,
    "crop": ImageOps.fit,
    "pad": partial(ImageOps.pad, color="black"),
}
RESAMPLINGS: Mapping[str, Resampling] = {
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
}


def fitted(image: Image.Image, size: int, geometry: Geometry) -> np.ndarray:
    """The image as a square.

    Pillow widens its filters by as much as an image shrinks, which is what antialiases.

    Args:
        image: in mode RGB.
        size: pixels a side.
        geometry: how its shape changes.

    Returns:
        uint8 [size, size, 3].
    """
    square = FIT_FUNCTIONS[geometry.fit](image, (size, size), RESAMPLINGS[geometry.filter])
    return np.asarray(square)
