"""How a photo of any shape becomes a square inside a model: as Pillow does it, in TensorFlow.

A run's photos are made square by Pillow before they are trained on. A model that stands alone has
to do the same: TensorFlow's own resizing in Keras 2 averages nothing where an image shrinks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from effbench.config.geometry import Geometry
from effbench.hardware.tensorflow_setup import tf

# From sides, float32 (height, width), to the sides of the window that fills the square.
_WINDOWS: Mapping[str, Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]] = {
    "squash": lambda height, width: (height, width),
    "crop": lambda height, width: (tf.minimum(height, width),) * 2,
    "pad": lambda height, width: (tf.maximum(height, width),) * 2,
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
    windows = _WINDOWS[geometry.fit](tf.cast(height, tf.float32), tf.cast(width, tf.float32))
    rows, columns = (
        _weights(pixels, window, size, geometry.filter)
        for pixels, window in zip((height, width), windows, strict=True)
    )
    planes = tf.transpose(tf.cast(images, tf.float32), (0, 3, 1, 2))
    # Pillow keeps whole numbers between the two directions, too.
    planes = _whole(tf.matmul(planes, tf.transpose(columns)))
    planes = _whole(tf.matmul(rows, planes))
    return tf.transpose(planes, (0, 2, 3, 1))


def _whole(values: tf.Tensor) -> tf.Tensor:
    return tf.round(tf.clip_by_value(values, 0.0, 255.0))


def _weights(pixels: tf.Tensor, window: tf.Tensor, size: int, kernel: str) -> tf.Tensor:
    """Weights float32 [size, pixels] of each line of pixels in each line of the square.

    The window lies in the middle of the photo's side, or around it; outside it is black.
    """
    side = tf.cast(pixels, tf.float32)
    scale = window / size
    centre = (side - window) / 2 + (tf.range(size, dtype=tf.float32) + 0.5) * scale
    # A range of floats loses its length where a runtime computes in bfloat16, as OpenVINO does.
    lines = tf.cast(tf.range(pixels), tf.float32) + 0.5
    # A filter is as wide as the pixels of the square, where these are larger.
    distance = tf.abs(lines - centre[:, None]) / tf.maximum(scale, 1.0)
    weights = _KERNELS[kernel](distance)
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
    inside = tf.cast((centre > 0.0) & (centre < side), tf.float32)
    return weights * inside[:, None]
