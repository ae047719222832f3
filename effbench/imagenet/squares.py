"""From a decoded image to a network's square, by each row of `protocols.PROTOCOLS`.

TensorFlow's own operations resize where the published code called them, on the CPU, one image at a
time, as that code did. Decoding is Pillow's throughout; that of TensorFlow differs from it in the
last digit of some pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from effbench.hardware.tensorflow_setup import tf

Square = Callable[[Image.Image, int], np.ndarray]


def _crop_bicubic(image: Image.Image, size: int) -> np.ndarray:
    """The middle, its corner rounded up; pixels lie where TensorFlow 1 saw them: at corners."""
    pixels = _middle(np.asarray(image), size, 32, 1)
    resized = tf.raw_ops.ResizeBicubic(
        images=pixels[None], size=(size, size), align_corners=False, half_pixel_centers=False
    )
    return resized[0].numpy()


def _crop(image: Image.Image, size: int) -> np.ndarray:
    return _bilinear(_middle(np.asarray(image), size, 32, 0), size)


def _squash(image: Image.Image, size: int) -> np.ndarray:
    return _bilinear(np.asarray(image), size)


def _timm(image: Image.Image, size: int) -> np.ndarray:
    """The shorter side becomes `size`, and then the middle is cut, as torchvision does both."""
    width, height = image.size
    scale = size / min(width, height)
    sides = (size, int(height * scale)) if width <= height else (int(width * scale), size)
    resized = image.resize(sides, Resampling.BICUBIC)
    left, top = (round((side - size) / 2) for side in sides)
    return np.asarray(resized.crop((left, top, left + size, top + size)), np.float32)


def _middle(pixels: np.ndarray, size: int, margin: int, up: int) -> np.ndarray:
    """The square in the middle; where it cannot be, its corner is rounded up or down."""
    height, width, _ = pixels.shape
    # In the float32 of the published code: of 500 pixels, 0.875 is 437.
    side = int(np.float32(size / (size + margin)) * np.float32(min(height, width)))
    top, left = (height - side + up) // 2, (width - side + up) // 2
    return pixels[top : top + side, left : left + side]


def _bilinear(pixels: np.ndarray, size: int) -> np.ndarray:
    return tf.image.resize(pixels, (size, size)).numpy()


# By the name of a protocol: from an image in mode RGB and a size in pixels to float32
# [size, size, 3], 0..255; a bicubic filter may go a little beyond.
SQUARES: Mapping[str, Square] = {
    "crop-bicubic": _crop_bicubic,
    "crop": _crop,
    "squash": _squash,
    "timm": _timm,
}
