"""Augmentations of a batch, on the device that trains, inside its compiled step.

They run at the source's resolution, before the resize to the network's: there, an image of 32x32
has a fiftieth of the values of one of 224x224, and costs a fiftieth.

This is our own code: the libraries for TensorFlow and Keras 2 (keras-cv, tf-models-official,
TensorFlow Addons) warp with ImageProjectiveTransformV3, which XLA cannot compile in TensorFlow
2.19, and take their random numbers from generators with a state.

Every number drawn for an image depends on the seed and on the image's place in the batch alone.
Replicas that call this on the global batch and take their rows thus get the same images however
many they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from effbench.hardware.tensorflow_setup import tf
from effbench.training.augment.randaugment import randaugment, span
from effbench.training.augment.rng import derived, uniform
from effbench.training.augment.sampling import INDICES, Sampling

# Each has random numbers of its own, so that one being off leaves the others as they are.
_STREAMS = ("crop", "flip", "randaugment", "cutout", "mixup", "cutmix", "zoom")


@dataclass(frozen=True)
class Policy:
    """Which augmentations, and how strong; all are off unless asked for.

    Attributes:
        flip: mirrors half of the images, left to right.
        crop: pixels of black around an image before it is cut back to its size at a random place.
        zoom: smallest share of an image's area that is cut out and resized to the whole; 0 for off.
        cutout: half the side of a square of noise, as a share of the image's; google/automl
            fine-tunes with 0.25.
        randaugment: magnitude; 10 is automl's unit, EfficientNetV2 is trained with 5 to 25.
        layers: how many ops RandAugment applies to an image.
        mixup: alpha of its Beta(alpha, alpha).
        cutmix: alpha of its Beta(alpha, alpha).
    """

    flip: bool = False
    crop: int = 0
    zoom: float = 0.0
    cutout: float = 0.0
    randaugment: float = 0.0
    layers: int = 2
    mixup: float = 0.0
    cutmix: float = 0.0


def augment(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    policy: Policy,
    sampling: Sampling = INDICES,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Augments a batch, in the order of google/automl's fine-tuning.

    Source: `preprocess_for_finetune` in efficientnetv2/preprocessing.py and `mixing` in
    efficientnetv2/datasets.py.

    Args:
        images: uint8, or float32 of whole numbers, [n, h, w, 3], 0..255; the shape is static.
        labels: float32 [n, classes], one-hot.
        seed: int32 [2]; another one for every batch.
        policy: what to do.
        sampling: how RandAugment and zoom read pixels: `sampling.PRODUCTS` for a TPU.

    Returns:
        Images float32 [n, h, w, 3], 0..255, and labels float32 [n, classes] that add up to 1. They
        are what came in where nothing is asked for.
    """
    images = tf.cast(images, tf.float32)
    if policy.crop:
        images = crop(images, _seed_of(seed, "crop"), policy.crop)
    if policy.zoom:
        images = zoom(images, _seed_of(seed, "zoom"), policy.zoom, sampling)
    if policy.flip:
        images = flip(images, _seed_of(seed, "flip"))
    if policy.randaugment:
        drawn = _seed_of(seed, "randaugment")
        images = randaugment(images, drawn, policy.layers, policy.randaugment, sampling)
    if policy.cutout:
        half = int(policy.cutout * images.shape[1])
        images = cutout(images, _seed_of(seed, "cutout"), half)
    # With both, automl mixes half of the batch in one way and half in the other.
    first = images.shape[0] * bool(policy.mixup) // (1 + bool(policy.cutmix))
    parts = [(images[first:], labels[first:])]
    if policy.cutmix:
        parts = [cutmix(*parts[0], _seed_of(seed, "cutmix"), policy.cutmix)]
    if policy.mixup:
        mixed = mixup(images[:first], labels[:first], _seed_of(seed, "mixup"), policy.mixup)
        parts = [mixed, *parts]
    return tf.concat([part[0] for part in parts], 0), tf.concat([part[1] for part in parts], 0)


def flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Turns each image of [n, h, w, 3] left to right, with probability 1/2."""
    count, _, width, _ = images.shape
    turned = uniform((count, 1), seed) < 0.5
    columns = tf.where(turned, tf.range(width)[::-1], tf.range(width))
    return tf.gather(images, columns, axis=2, batch_dims=1)


def crop(images: tf.Tensor, seed: tf.Tensor, padding: int) -> tf.Tensor:
    """Cuts a random window of the same size from each image of [n, h, w, 3], padded with zeros.

    Args:
        images: float32 [n, h, w, 3].
        seed: int32 [2].
        padding: pixels on each side; the (2 * padding + 1)^2 windows are equally likely.
    """
    count, height, width, _ = images.shape
    padded = tf.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    offsets = tf.cast(uniform((count, 2, 1), seed) * (2 * padding + 1), tf.int32)
    rows = tf.gather(padded, offsets[:, 0] + tf.range(height), axis=1, batch_dims=1)
    return tf.gather(rows, offsets[:, 1] + tf.range(width), axis=2, batch_dims=1)


def zoom(images: tf.Tensor, seed: tf.Tensor, smallest: float, sampling: Sampling) -> tf.Tensor:
    """Cuts a random window from each image and resizes it to the whole, bilinearly.

    It is what PyTorch's `RandomResizedCrop` cuts from a photo that was made square before. A window
    that would be longer than the image ends at its border, where that class draws again.

    Args:
        images: float32 of whole numbers, [n, h, w, 3].
        seed: int32 [2].
        smallest: the least share of the area; shares up to 1 are equally likely. The sides have a
            ratio of 3:4 to 4:3, equally likely on a logarithmic scale.
        sampling: how pixels are read.

    Returns:
        float32 of whole numbers, [n, h, w, 3].
    """
    count, height, width, _ = images.shape
    draws = uniform((count, 4), seed)
    area = smallest + (1 - smallest) * draws[:, 0]
    stretch = tf.exp((draws[:, 1] - 0.5) * math.log(4 / 3))
    root = tf.sqrt(area)

    def line(share: tf.Tensor, offset: tf.Tensor, side: int) -> tf.Tensor:
        """Where the pixels of a side come from: [n, side]."""
        share = tf.minimum(share, 1.0)[:, None]
        first = (1 - share) * offset[:, None] * side
        return first + (tf.range(side, dtype=tf.float32) + 0.5) * share - 0.5

    x = line(root * stretch, draws[:, 2], width)
    y = line(root / stretch, draws[:, 3], height)
    return tf.round(sampling.lines(images, x, y))


def cutout(
    images: tf.Tensor, seed: tf.Tensor, half: int, low: float = 127.5, high: float = 255.0
) -> tf.Tensor:
    """Fills a square of each image with noise.

    Args:
        images: float32 [n, h, w, 3].
        seed: int32 [2].
        half: half the side of the square, pixels; its centre is any pixel, and what is beyond the
            border is cut off.
        low: the least value of the noise.
        high: its upper bound. By default, the noise is automl's: it fills images of -1..1 with
            numbers of 0..1.
    """
    count, height, width, _ = images.shape
    centre = uniform((count, 2), derived(seed, 0))
    noise = low + (high - low) * uniform(images.shape, derived(seed, 1))
    rows, columns = span(centre[:, 0], half, height), span(centre[:, 1], half, width)
    return _mix(images, noise, 1 - _box(rows, columns))


def mixup(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blends each image, and its label, with that of the reversed batch (arXiv 1710.09412).

    Args:
        images: float32 [n, h, w, 3].
        labels: float32 [n, classes].
        seed: int32 [2].
        alpha: each image's own weight is the larger of w and 1 - w, w from Beta(alpha, alpha).
    """
    weight = beta(uniform((images.shape[0], 2), seed), alpha)
    weight = tf.maximum(weight, 1 - weight)[:, None]
    # Flat: to broadcast along the short last axis costs a CPU several times as much.
    flat = tf.reshape(images, (images.shape[0], -1))
    mixed = tf.reshape(_mix(flat, _reversed(flat), weight), images.shape)
    return mixed, _mix(labels, _reversed(labels), weight)


def cutmix(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts a box of each image of the reversed batch into each image (arXiv 1905.04899).

    Labels are weighted by the box's own area; automl takes the mean area of the batch's boxes.

    Args:
        images: float32 [n, h, w, 3].
        labels: float32 [n, classes].
        seed: int32 [2].
        alpha: a box, before what is beyond the border is cut off, has the share 1 - w of the
            image's area and its shape, w from Beta(alpha, alpha).
    """
    count, height, width, _ = images.shape
    draws = uniform((count, 4), seed)
    side = tf.sqrt(1 - beta(draws[:, :2], alpha))
    rows = span(draws[:, 2], tf.floor(tf.floor(side * height) / 2), height)
    columns = span(draws[:, 3], tf.floor(tf.floor(side * width) / 2), width)
    weight = 1 - _box(rows, columns)
    share = tf.reduce_mean(weight, axis=(1, 2, 3))[:, None]
    return _mix(images, _reversed(images), weight), _mix(labels, _reversed(labels), share)


def beta(draws: tf.Tensor, alpha: float) -> tf.Tensor:
    """Turns uniform numbers into draws from Beta(alpha, alpha); no approximation but float32.

    TensorFlow's `stateless_gamma` does not compile with XLA. For T of Student's t distribution with
    2 alpha degrees of freedom, (1 + T / sqrt(2 alpha + T^2)) / 2 is of Beta(alpha, alpha), and
    T = sqrt(2 alpha (u^(-1 / alpha) - 1)) cos(2 pi v) for uniform u and v (Bailey, 1994,
    Mathematics of Computation 62). The form below neither overflows nor cancels for a small alpha.

    Args:
        draws: float32 [n, 2], from 0 to below 1.
        alpha: more than 0.

    Returns:
        float32 [n], 0 to 1.
    """
    power = (1 - draws[:, 0]) ** (1 / alpha)
    cosine = tf.cos(2 * math.pi * draws[:, 1])
    # 1 - T^2 / (2 alpha + T^2).
    rest = tf.math.divide_no_nan(power, power + (1 - power) * cosine**2)
    # A TPU's quotients are not correctly rounded: one may be just above 1.
    smaller = rest / (2 * (1 + tf.sqrt(tf.maximum(1 - rest, 0))))
    return tf.where(cosine < 0, smaller, 1 - smaller)


def _mix(values: tf.Tensor, others: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Exactly one of the two where `weight` is 0 or 1; a `where` takes a CPU six times as long."""
    return values * weight + others * (1 - weight)


def _reversed(rows: tf.Tensor) -> tf.Tensor:
    """The batch from its end; as a slice, it costs a CPU twenty times as much."""
    return tf.gather(rows, tf.range(rows.shape[0])[::-1])


def _box(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """0 and 1, float32 [n, h, w, 3], of bool [n, h] and [n, w]."""
    down, across = tf.cast(rows, tf.float32), tf.cast(columns, tf.float32)
    box = down[:, :, None] * tf.repeat(across, 3, axis=1)[:, None]
    return tf.reshape(box, (*rows.shape, -1, 3))


def _seed_of(seed: tf.Tensor, name: str) -> tf.Tensor:
    """The seed of one augmentation."""
    return derived(seed, _STREAMS.index(name))
