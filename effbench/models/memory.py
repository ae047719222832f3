"""What a network takes of memory at least, from the package's table; no TensorFlow."""

from __future__ import annotations

from itertools import pairwise

from effbench.config.precisions import PRECISIONS
from effbench.config.variants import Variant
from effbench.models.flops import convolutions

_FLOAT32 = 4  # bytes: variables are, in every precision


def inference(variant: Variant, image_size: int, batch: int, precision: str) -> int:
    """Bytes of a forward pass: the weights, and what one convolution reads and writes.

    What XLA compiles for a TPU takes 2 to 4 times as much (`results/plan.json`).

    Args:
        variant: which network; without its top.
        image_size: side of the square images, pixels.
        batch: images at once.
        precision: a row of `PRECISIONS`.
    """
    maps = _maps(variant, image_size)
    largest = max(first + second for first, second in pairwise(maps))
    return _FLOAT32 * variant.parameters + PRECISIONS[precision].value_bytes * batch * largest


def training(variant: Variant, image_size: int, batch: int, precision: str) -> int:
    """Bytes of a training step: weights, gradients, and the output of every convolution.

    An optimizer and an average of the weights have theirs beside it, and most outputs are kept
    twice, before and after BatchNorm: what XLA compiles for a TPU takes 1.6 to 3.6 times as much
    (`results/plan.json`, 16 images in bfloat16).

    Args:
        variant: which network; without its top.
        image_size: side of the square images, pixels.
        batch: images that go through it at once.
        precision: a row of `PRECISIONS`.
    """
    held = PRECISIONS[precision].value_bytes * batch * sum(_maps(variant, image_size))
    return 2 * _FLOAT32 * variant.parameters + held


def _maps(variant: Variant, image_size: int) -> list[int]:
    """How many values of one image each convolution writes."""
    return [layer.side**2 * layer.outputs for layer in convolutions(variant, image_size)]
