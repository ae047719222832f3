"""RandAugment (arXiv 1909.13719) of a batch, with the ops and magnitudes of google/automl.

Source: `distort_image_with_randaugment` in efficientnetv2/autoaugment.py. What differs, and why:

- It runs on images of the network's size; this runs on the source's. Its pixels, of translations
  and cutouts, are taken as those of a side of 224 and keep their share of the side. It reads the
  nearest pixel of an image that was enlarged bilinearly; this interpolates bilinearly.
- Its contrast blends with a constant (the number of pixels / 256), by a slip; this blends with the
  mean grey level, as Pillow does, which it says it is equivalent to.
- It truncates results to whole grey levels, which darkens; this rounds them.
- It draws one op an image and computes that. A batch on an accelerator is computed as a whole, so
  all ops are, and most cost little: nine of sixteen are a table of 256 levels, five are one affine
  map with its own numbers, and cutout is that map's unfilled part.

Images here are colour planes: [n, 3, h, w], float32, whole grey levels 0..255.
"""

from __future__ import annotations

import math

import numpy as np

from effbench.hardware.tensorflow_setup import tf
from effbench.training.augment.rng import derived, uniform
from effbench.training.augment.sampling import INDICES, LEVELS, Sampling

# In automl's order; an image's op is an index into it.
OPS = (
    "autocontrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "cutout",
    "solarize_add",
)
_WARPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y", "cutout")
_BLENDS = ("color", "sharpness")
# The grey level of what is moved in or cut out.
_FILL = 128.0
# ITU-R 601 in 65536ths, as Pillow; the sums are whole and below 2^24, so exact in float32.
_GREY = (19595.0, 38470.0, 7471.0)


def randaugment(
    images: tf.Tensor, seed: tf.Tensor, layers: int, magnitude: float, sampling: Sampling = INDICES
) -> tf.Tensor:
    """Distorts every image by one random op a layer.

    Args:
        images: float32 [n, h, w, 3], whole, 0..255; the shape is static.
        seed: int32 [2]. What an image gets depends on it and on the image's place in the batch.
        layers: ops an image.
        magnitude: 0 or more, also above automl's unit of 10. Rotations, shears, translations,
            cutouts and `solarize_add` grow with it; color, contrast, brightness and sharpness fade
            below 5 and are stronger above; posterize and solarize get weaker, and do nothing from
            20 and from 10 on.
        sampling: how pixels are read.

    Returns:
        float32 [n, h, w, 3], whole, 0..255.
    """
    planes = tf.transpose(images, (0, 3, 1, 2))
    for layer in range(layers):
        draws = uniform((images.shape[0], 4), derived(seed, layer))
        ops = tf.cast(draws[:, 0] * len(OPS), tf.int32)
        planes = distort(planes, ops, draws[:, 1:], magnitude, sampling)
    return tf.transpose(planes, (0, 2, 3, 1))


def distort(
    planes: tf.Tensor, ops: tf.Tensor, draws: tf.Tensor, magnitude: float, sampling: Sampling
) -> tf.Tensor:
    """Applies one given op to each image.

    Args:
        planes: float32 [n, 3, h, w], whole, 0..255.
        ops: int32 [n], indices into `OPS`.
        draws: float32 [n, 3], 0 to 1: the sign of a geometric op (less than half is negative), and
            the row and column of a cutout's centre.
        magnitude: of all ops.
        sampling: how pixels are read.

    Returns:
        float32 [n, 3, h, w], whole, 0..255.
    """
    count = planes.shape[0]
    candidates = (
        _tone(planes, ops, magnitude, sampling),
        _blend(planes, ops, magnitude),
        _warp(planes, ops, draws, magnitude, sampling),
    )
    kinds = np.array([(op in _BLENDS) + 2 * (op in _WARPS) for op in OPS], np.int32)
    # Rows of a gather are copied; `tf.where` would compare and broadcast at every pixel.
    rows = tf.gather(kinds, ops) * count + tf.range(count)
    return tf.gather(tf.concat(candidates, axis=0), rows)


def _tone(planes: tf.Tensor, ops: tf.Tensor, magnitude: float, sampling: Sampling) -> tf.Tensor:
    """The ops that map a grey level to a grey level, with a table for each image and colour."""
    count, _, height, width = planes.shape
    levels = tf.range(float(LEVELS))
    low = tf.reduce_min(planes, axis=(2, 3))[..., None]
    high = tf.reduce_max(planes, axis=(2, 3))[..., None]
    stretched = _whole((levels - low) * 255 / tf.maximum(high - low, 1))
    stretched = tf.where(high > low, stretched, levels)

    flat = tf.reshape(planes, (count * 3, height, width))
    histogram = tf.reshape(sampling.histogram(flat), (count, 3, LEVELS))
    # As Pillow: the brightest level's pixels do not count for the step, nor a level's own.
    brightest = tf.reduce_sum(tf.where(levels == high, histogram, 0), axis=-1, keepdims=True)
    step = tf.floor((height * width - brightest) / 255)
    below = tf.cumsum(histogram, axis=-1, exclusive=True)
    # Half a pixel more keeps the quotient off the whole numbers, however it is rounded.
    level = tf.floor((below + tf.floor(step / 2) + 0.5) / tf.maximum(step, 1))
    equalized = tf.where(step > 0, tf.minimum(level, 255.0), levels)

    mean = _whole(tf.reduce_mean(_grey(planes), axis=(2, 3)))
    contrast = _whole(_towards(levels, mean, _factor(magnitude)))[:, None]

    tables = tf.gather(_tables(magnitude), ops)[:, None]
    for op, mapped in (
        ("autocontrast", stretched),
        ("equalize", equalized),
        ("contrast", contrast),
    ):
        tables = tf.where((ops == OPS.index(op))[:, None, None], mapped, tables)
    toned = sampling.lookup(tf.reshape(tables, (count * 3, LEVELS)), flat)
    return tf.reshape(toned, planes.shape)


def _tables(magnitude: float) -> np.ndarray:
    """Float32 [ops, 256]: the tables that are the same for every image; identity for the others."""
    share = magnitude / 10
    levels = np.arange(LEVELS)
    # Pillow and automl take 0 to 8 bits.
    step = 2 ** (8 - min(int(share * 4), 8))
    solarized = np.where(levels < int(share * 256), levels, 255 - levels)
    added = np.where(levels < 128, np.minimum(levels + int(share * 110), 255), levels)
    brighter = np.rint(np.clip(levels * _factor(magnitude), 0, 255))
    tables = {
        "invert": 255 - levels,
        "posterize": levels // step * step,
        "solarize": solarized,
        "brightness": brighter,
        "solarize_add": added,
    }
    return np.stack([tables.get(op, levels) for op in OPS]).astype(np.float32)


def _blend(planes: tf.Tensor, ops: tf.Tensor, magnitude: float) -> tf.Tensor:
    """Color and sharpness: away from, or towards, the grey and the smoothed image."""
    rows = planes[:, :, :-2] + planes[:, :, 1:-1] + planes[:, :, 2:]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = _whole((around + 4 * planes[:, :, 1:-1, 1:-1]) / 13)
    # The border is not smoothed.
    height, width = planes.shape[2:]
    border = np.pad(np.zeros((height - 2, width - 2), np.float32), 1, constant_values=1)
    smooth = tf.pad(inner, ((0, 0), (0, 0), (1, 1), (1, 1))) + planes * border
    is_color = tf.cast(ops == OPS.index("color"), tf.float32)[:, None, None, None]
    base = smooth + is_color * (_grey(planes) - smooth)
    return _whole(_towards(planes, base, _factor(magnitude)))


def _warp(
    planes: tf.Tensor, ops: tf.Tensor, draws: tf.Tensor, magnitude: float, sampling: Sampling
) -> tf.Tensor:
    """The geometric ops: where each pixel comes from; and cutout, which moves none."""
    height, width = planes.shape[2:]
    maps = np.stack([_maps(sign * magnitude, height, width) for sign in (-1, 1)])
    positive = tf.cast(draws[:, 0] >= 0.5, tf.int32)
    coefficients = tf.gather(maps.reshape(-1, 6), positive * len(OPS) + ops)[..., None, None]
    row, column = tf.range(float(height))[:, None], tf.range(float(width))
    x = coefficients[:, 0] * column + coefficients[:, 1] * row + coefficients[:, 2]
    y = coefficients[:, 3] * column + coefficients[:, 4] * row + coefficients[:, 5]
    # As in Pillow: a pixel is a square, and a point within one has a colour.
    right, bottom = width - 0.5, height - 0.5
    filled = (x < -0.5) | (x >= right) | (y < -0.5) | (y >= bottom)
    # A box without area for the other ops.
    half = tf.cast(ops == OPS.index("cutout"), tf.float32) * round(_pixels(magnitude * 4, height))
    rows, columns = span(draws[:, 1], half, height), span(draws[:, 2], half, width)
    filled |= rows[:, :, None] & columns[:, None]
    moved = sampling.between(
        planes, tf.clip_by_value(x, -0.5, right), tf.clip_by_value(y, -0.5, bottom)
    )
    kept = tf.cast(~filled, tf.float32)[:, None]
    return tf.round(_FILL + kept * (moved - _FILL))


def span(centre: tf.Tensor, half: tf.Tensor | float, side: int) -> tf.Tensor:
    """The rows, or columns, of a box in each image, cut off at the borders.

    Args:
        centre: float32 [n], 0 to 1, of which every pixel has the same share.
        half: half the box's side, whole: float32 [n], or one number for all images.
        side: side of the images, pixels.

    Returns:
        bool [n, side].
    """
    away = tf.transpose(tf.range(float(side))[:, None] - tf.floor(centre * side))
    half = tf.reshape(tf.cast(half, tf.float32), (-1, 1))
    return (away >= -half) & (away < half)


def _maps(magnitude: float, height: int, width: int) -> np.ndarray:
    """Float32 [ops, 6]: x = a * column + b * row + c, y = d * column + e * row + f."""
    share = magnitude / 10
    angle = math.radians(share * 30)
    cos, sin = math.cos(angle), math.sin(angle)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    maps = {
        "rotate": (
            *(cos, -sin, middle_x - cos * middle_x + sin * middle_y),
            *(sin, cos, middle_y - sin * middle_x - cos * middle_y),
        ),
        "shear_x": (1, share * 0.3, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, share * 0.3, 1, 0),
        "translate_x": (1, 0, _pixels(magnitude * 10, width), 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, _pixels(magnitude * 10, height)),
    }
    return np.array([maps.get(op, (1, 0, 0, 0, 1, 0)) for op in OPS], np.float32)


def _pixels(pixels: float, side: int) -> float:
    """What is as large a share of `side` as `pixels` of 224, the side of B0's input."""
    return pixels / 224 * side


def _factor(magnitude: float) -> float:
    """The factor for `_towards`; 1 leaves an image as it is."""
    return magnitude / 10 * 1.8 + 0.1


def _towards(values: tf.Tensor, base: tf.Tensor, factor: float) -> tf.Tensor:
    return base + factor * (values - base)


def _grey(planes: tf.Tensor) -> tf.Tensor:
    """Grey levels [n, 1, h, w], whole."""
    weighted = planes * tf.constant(_GREY)[:, None, None]
    return tf.floor((tf.reduce_sum(weighted, axis=1, keepdims=True) + 32768) / 65536)


def _whole(values: tf.Tensor) -> tf.Tensor:
    """Rounds to grey levels: whole, 0 to 255."""
    return tf.round(tf.clip_by_value(values, 0.0, 255.0))
