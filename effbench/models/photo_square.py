"""How a photo of any shape becomes a square inside a model: as Pillow does it, in TensorFlow.

A run's photos are made square by Pillow before they are trained on. A model that stands alone has
to do the same: TensorFlow's own resizing in Keras 2 averages nothing where an image shrinks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from effbench.config.geometry import Geometry
from effbench.hardware.tensorflow_setup import tf


@dataclass(frozen=True)
class _Span:
    """What of one side of a photo becomes what of the square's side.

    Attributes:
        window: float32 [], how much of the photo's side is taken, from its middle.
        covered: float32 [], pixels of the square that it fills; the others are black.
        first: float32 [], the first of these.
    """

    window: tf.Tensor
    covered: tf.Tensor | float
    first: tf.Tensor | float = 0.0


def _padded(side: tf.Tensor, longer: tf.Tensor, size: int) -> _Span:
    """Pillow's `ImageOps.pad`: a photo takes whole pixels of the square."""
    covered = tf.maximum(tf.round(side / longer * size), 1.0)
    return _Span(side, covered, tf.round((size - covered) / 2))


# From sides, float32 (height, width), and the square's, to the spans of rows and of columns.
_SPANS: Mapping[str, Callable[[tf.Tensor, tf.Tensor, int], tuple[_Span, _Span]]] = {
    "squash": lambda height, width, size: (_Span(height, size), _Span(width, size)),
    "crop": lambda height, width, size: (_Span(tf.minimum(height, width), size),) * 2,
    "pad": lambda height, width, size: (
        _padded(height, tf.maximum(height, width), size),
        _padded(width, tf.maximum(height, width), size),
    ),
}


def _triangle(distance: tf.Tensor) -> tf.Tensor:
    return tf.maximum(0.0, 1.0 - distance)


def _cubic(distance: tf.Tensor) -> tf.Tensor:
    """Keys' kernel with a = -1/2, as Pillow's."""
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    zero = tf.zeros_like(distance)
    return tf.where(distance < 1.0, near, tf.where(distance < 2.0, far, zero))


_KERNELS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
}


def square(images: tf.Tensor, size: int, geometry: Geometry) -> tf.Tensor:
    """Makes photos of one shape square.

    Args:
        images: uint8 or float32 [n, h, w, 3], 0..255.
        size: pixels a side.
        geometry: how.

    Returns:
        float32 of whole numbers, [n, size, size, 3], 0..255; Pillow's but for rounding.
    """
    shape = tf.shape(images)
    height, width = shape[1], shape[2]
    sides = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    spans = _SPANS[geometry.fit](*sides, size)
    rows, columns = (
        _weights(pixels, span, size, geometry.filter)
        for pixels, span in zip((height, width), spans, strict=True)
    )
    planes = tf.transpose(tf.cast(images, tf.float32), (0, 3, 1, 2))
    # Pillow keeps whole numbers between the two directions, too.
    planes = _whole(tf.matmul(planes, tf.transpose(columns)))
    planes = _whole(tf.matmul(rows, planes))
    return tf.transpose(planes, (0, 2, 3, 1))


def _whole(values: tf.Tensor) -> tf.Tensor:
    return tf.round(tf.clip_by_value(values, 0.0, 255.0))


def _weights(pixels: tf.Tensor, span: _Span, size: int, kernel: str) -> tf.Tensor:
    """Weights float32 [size, pixels] of each line of pixels in each line of the square."""
    side = tf.cast(pixels, tf.float32)
    scale = span.window / span.covered
    place = tf.range(size, dtype=tf.float32) - span.first
    centre = (side - span.window) / 2 + (place + 0.5) * scale
    # A range of floats loses its length where a runtime computes in bfloat16, as OpenVINO does.
    lines = tf.cast(tf.range(pixels), tf.float32) + 0.5
    # A filter is as wide as the pixels of the square, where these are larger.
    distance = tf.abs(lines - centre[:, None]) / tf.maximum(scale, 1.0)
    weights = _KERNELS[kernel](distance)
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
    inside = tf.cast((place >= 0.0) & (place < span.covered), tf.float32)
    return weights * inside[:, None]
