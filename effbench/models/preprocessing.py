"""From images to what a backbone expects: resized and rescaled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from effbench.hardware.tensorflow_setup import tf

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)

# Name -> (mean, std) of (x - mean) / std, for x in 0..255, RGB.
PREPROCESSING: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
    "torch": (_MEAN * 255, _STD * 255),
    "tf": (np.full(3, 128, np.float32), np.full(3, 128, np.float32)),
    # keras-efficientnet-v2 1.1, December 2021: Rescaling(1/255), then Normalization(mean, variance)
    # that was given the standard deviations as variances.
    "notebook-2021": (_MEAN * 255, np.sqrt(_STD) * 255),
}


def prepare(
    images: tf.Tensor, image_size: int, preprocessing: str, device: str = "cpu"
) -> tf.Tensor:
    """Resizes images bilinearly, as in the case study, and rescales them.

    Args:
        images: uint8 or float32 [n, h, w, 3], 0..255; the shape is static.
        image_size: side of the result, pixels.
        preprocessing: a row of `PREPROCESSING`.
        device: kind of device; those for which XLA compiles resize by products of matrices.

    Returns:
        float32 [n, size, size, 3].
    """
    mean, std = PREPROCESSING[preprocessing]
    resize = _resize_by_products if _for_xla.get() else _RESIZE[device]
    return (resize(tf.cast(images, tf.float32), image_size) - mean) / std


@contextmanager
def for_xla() -> Iterator[None]:
    """What is traced meanwhile is for XLA, whatever the device.

    Its version of TensorFlow's op takes a pixel's neighbour where the place that is looked up is,
    but for rounding, the pixel's own: with TensorFlow 2.19 a third of all, from 32 pixels to 96.
    """
    token = _for_xla.set(True)
    try:
        yield
    finally:
        _for_xla.reset(token)


def _resize(images: tf.Tensor, image_size: int) -> tf.Tensor:
    return tf.image.resize(images, (image_size, image_size))


def _resize_by_products(images: tf.Tensor, image_size: int) -> tf.Tensor:
    """Gives the same numbers as `_resize`, but for rounding.

    TensorFlow's own op becomes a gather of nine pixels for each: in the plan of B0 at 224 on a v3
    that is three quarters of the step and eight times the memory, and XL does not fit a v2.
    """
    if tuple(images.shape[1:3]) == (image_size, image_size):  # which that op leaves alone, too
        return images
    rows, columns = (_bilinear(side, image_size) for side in images.shape[1:3])
    return tf.einsum("nhwc,yh,xw->nyxc", images, rows, columns)


def _bilinear(source: int, size: int) -> np.ndarray:
    """Weights float32 [size, source] of each pixel in each resized one."""
    centre = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    distance = np.abs(centre[:, None] - np.arange(source))
    return np.maximum(0, 1 - distance).astype(np.float32)


_for_xla = ContextVar("for XLA", default=False)

_RESIZE: Mapping[str, Callable[[tf.Tensor, int], tf.Tensor]] = {
    "cpu": _resize,
    "gpu": _resize_by_products,
    "tpu": _resize_by_products,
}
