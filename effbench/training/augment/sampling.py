"""Histograms, tables read at every pixel and pixels read between pixels: by indices or by products.

A gather is the cheap way on a CPU and a GPU. A TPU reads scattered indices one by one, and its
compiler's own estimate for 128 images of 32x32 on a v3 is 161 ms to read their tables by a gather
and 0.1 ms by a product with one-hot rows. Both ways give the same values: entries of at most 256
and zeros and ones are exact even in a TPU's bfloat16 products, which add up in float32; only
`between` differs, by the rounding of its weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from effbench.hardware.tensorflow_setup import tf

LEVELS = 256
# A level is 16 * high + low; two one-hots of 16 stand for one of 256.
_HALF = 16


class Sampling(ABC):
    """How pixels and tables are read; images are planes float32 [n, h, w], whole, 0..255."""

    @abstractmethod
    def histogram(self, planes: tf.Tensor) -> tf.Tensor:
        """How many pixels of each plane have each level: float32 [n, 256]."""

    @abstractmethod
    def lookup(self, tables: tf.Tensor, planes: tf.Tensor) -> tf.Tensor:
        """Every pixel's entry in the table of its plane.

        Args:
            tables: float32 [n, 256], whole, 0..255.
            planes: float32 [n, h, w].

        Returns:
            float32 [n, h, w].
        """

    @abstractmethod
    def between(self, images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Bilinear interpolation; what is within half a pixel of the border counts as the border.

        Args:
            images: float32 [n, 3, h, w].
            x: float32 [n, h, w], columns, from -0.5 to w - 0.5.
            y: float32 [n, h, w], rows, from -0.5 to h - 0.5.

        Returns:
            float32 [n, 3, h, w], not rounded.
        """

    @abstractmethod
    def lines(self, images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """`between`, at every crossing of some columns with some rows.

        Args:
            images: float32 [n, h, w, 3], whole, 0..255.
            x: float32 [n, w], columns, from -0.5 to w - 0.5.
            y: float32 [n, h], rows, from -0.5 to h - 0.5.

        Returns:
            float32 [n, h, w, 3], not rounded.
        """


class Indices(Sampling):
    """Scatters and gathers."""

    def histogram(self, planes: tf.Tensor) -> tf.Tensor:
        """How many pixels of each plane have each level: float32 [n, 256]."""
        planes = tf.reshape(planes, (planes.shape[0], -1))
        bins = planes.shape[0] * LEVELS
        bin_of_pixel = tf.cast(planes, tf.int32) + tf.range(0, bins, LEVELS)[:, None]
        counts = tf.math.unsorted_segment_sum(tf.ones_like(planes), bin_of_pixel, bins)
        return tf.reshape(counts, (-1, LEVELS))

    def lookup(self, tables: tf.Tensor, planes: tf.Tensor) -> tf.Tensor:
        """Every pixel's entry in the table of its plane: float32 [n, h, w]."""
        return tf.gather(tables, tf.cast(planes, tf.int32), batch_dims=1)

    def between(self, images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Bilinear interpolation: float32 [n, 3, h, w]."""
        count, _, height, width = images.shape
        # The three colours in one number, so that they are gathered at once.
        factors = tf.constant([65536.0, 256.0, 1.0])[:, None, None]
        packed = tf.cast(tf.reduce_sum(images * factors, axis=1), tf.int32)
        padded = tf.pad(packed, ((0, 0), (1, 1), (1, 1)), "SYMMETRIC")
        left, top = tf.floor(x), tf.floor(y)
        stride = width + 2
        starts = tf.range(count)[:, None, None] * ((height + 2) * stride) + stride + 1
        first = tf.cast(top * stride + left, tf.int32) + starts
        flat = tf.reshape(padded, [-1])
        shifts = tf.constant([16, 8, 0])[:, None, None]

        def corner(offset: int) -> tf.Tensor:
            pixels = tf.gather(flat, first + offset)[:, None]
            return tf.cast(tf.bitwise.right_shift(pixels, shifts) & 255, tf.float32)

        right, down = (x - left)[:, None], (y - top)[:, None]
        above = corner(0) + right * (corner(1) - corner(0))
        below = corner(stride) + right * (corner(stride + 1) - corner(stride))
        return above + down * (below - above)

    def lines(self, images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """`between`, at every crossing of some columns with some rows: float32 [n, h, w, 3]."""
        shape = images.shape[:3]
        x, y = (tf.broadcast_to(line, shape) for line in (x[:, None], y[:, :, None]))
        pixels = self.between(tf.transpose(images, (0, 3, 1, 2)), x, y)
        return tf.transpose(pixels, (0, 2, 3, 1))


class Products(Sampling):
    """Matrix products with one-hot rows, or with two weights a row."""

    def histogram(self, planes: tf.Tensor) -> tf.Tensor:
        """How many pixels of each plane have each level: float32 [n, 256]."""
        high, low = _halves(planes)
        return tf.reshape(tf.matmul(high, low, transpose_a=True), (-1, LEVELS))

    def lookup(self, tables: tf.Tensor, planes: tf.Tensor) -> tf.Tensor:
        """Every pixel's entry in the table of its plane: float32 [n, h, w]."""
        high, low = _halves(planes)
        rows = tf.matmul(high, tf.reshape(tables, (-1, _HALF, _HALF)))
        return tf.reshape(tf.reduce_sum(rows * low, axis=-1), planes.shape)

    def between(self, images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Bilinear interpolation: float32 [n, 3, h, w]."""
        count, _, height, width = images.shape
        rows = tf.reshape(tf.transpose(images, (0, 2, 1, 3)), (count, height, -1))
        mixed = tf.matmul(_weights(y, height), rows)
        mixed = tf.reshape(mixed, (count, height * width, 3, width))
        pixels = tf.reduce_sum(mixed * _weights(x, width)[:, :, None], axis=-1)
        return tf.reshape(tf.transpose(pixels, (0, 2, 1)), images.shape)

    def lines(self, images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """`between`, at every crossing of some columns with some rows: float32 [n, h, w, 3]."""
        rows = _weights(y[:, :, None], images.shape[1])
        columns = _weights(x[:, :, None], images.shape[2])
        # One axis after the other: at a pixel of its own, a photo's line would have 50,000 weights.
        return tf.einsum("nyh,nxw,nhwc->nyxc", rows, columns, images)


def _halves(planes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One-hots float32 [n, h * w, 16] of the high and the low four bits."""
    levels = tf.reshape(tf.cast(planes, tf.int32), (planes.shape[0], -1))
    return tf.one_hot(levels // _HALF, _HALF), tf.one_hot(levels % _HALF, _HALF)


def _weights(position: tf.Tensor, side: int) -> tf.Tensor:
    """The weight of each line of pixels at each position: [n, h, w] to [n, h * w, side]."""
    position = tf.reshape(tf.clip_by_value(position, 0.0, side - 1.0), (position.shape[0], -1, 1))
    return tf.maximum(0.0, 1.0 - tf.abs(position - tf.range(float(side))))


INDICES = Indices()
PRODUCTS = Products()
