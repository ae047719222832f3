"""Where in an image a model sees a class: Grad-CAM, as a heat map over what the model sees.

Of a network that ends in a global average and one dense layer, the gradient of a class's logit is
the same at every place: it is the class's weight (Selvaraju et al. 2017, "Grad-CAM", section 3.1).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from effbench.files import write_atomically

# What a heat map's file adds to the name of its image's.
ENDING = ".explained.png"
# Pixels of the shorter side, below which it is enlarged.
LEGIBLE = 224
_HOT = np.array([255, 0, 0], np.float32)
# How much of a pixel the hottest place leaves.
_LEFT = 0.35

# From an image, uint8 [h, w, 3], and the number of a class to what the model sees of the image,
# float32 [size, size, 3] from 0 to 255, and how much each place speaks
# for the class, [rows, lines].
Explain = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def of(keras: ModuleType, model: Any) -> Explain:  # a model of either Keras
    """What explains a model of `classifier` or `standard_layers`; made ready when it is asked."""

    @cache
    def parts() -> tuple[Any, np.ndarray]:
        """The model up to its last map, and the weights of its classes."""
        outputs = [model.get_layer(name).input for name in ("rescale", "pool")]
        (images,) = model.inputs  # not in a list, or Keras 3 warns of each image that is in none
        kernel, _ = model.get_layer("scores").get_weights()
        return keras.Model(images, outputs), kernel

    def explain(image: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        inner, kernel = parts()
        seen, maps = (np.asarray(part)[0] for part in inner(image[None], training=False))
        return seen, np.maximum(maps @ kernel[:, number], 0)

    return explain


def write(explain: Explain, image: np.ndarray, number: int, path: Path) -> None:
    """Writes a heat map as a PNG beside an image; small ones are enlarged, pixel by pixel.

    Args:
        explain: of the model.
        image: uint8 [h, w, 3].
        number: of the class.
        path: of the image.

    Raises:
        DiskError: it cannot be written.
    """
    seen, heat = explain(image, number)
    times = math.ceil(LEGIBLE / min(seen.shape[:2]))
    seen = seen.repeat(times, axis=0).repeat(times, axis=1)
    share = Image.fromarray((heat / max(heat.max(), 1e-9)).astype(np.float32))
    share = share.resize(seen.shape[1::-1], Image.Resampling.BILINEAR)
    hot = np.asarray(share)[..., None] * (1 - _LEFT)
    pixels = np.clip(np.round(seen * (1 - hot) + _HOT * hot), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    write_atomically(path.with_name(path.name + ENDING), file.getvalue())
