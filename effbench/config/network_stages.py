"""The stages of a network by the paper's numbers, from the package's table; no TensorFlow.

Tan and Le 2021, table 4: stage 0 is the stem, then come those of blocks, and the last is the head
convolution. What can be frozen is all that comes before one of them.
"""

from __future__ import annotations

from math import ceil
from typing import TypedDict, cast

from effbench.config.variants import Variant

# Freezes nothing.
ALL = "all"


class _Config(TypedDict):
    """What this file reads of a row of the package's `BLOCK_CONFIGS`; lists are by block stage."""

    first_conv_filter: int
    out_channels: list[int]
    strides: list[int]


def names(variant: Variant) -> tuple[str, ...]:
    """The stages from which on a network may train: `ALL`, or one of those behind the stem."""
    blocks = len(_config(variant)["strides"])
    return (ALL, *(f"stage{number}" for number in range(1, blocks + 2)))


def number(name: str) -> int:
    """The number of a stage that is not `ALL`."""
    return int(name.removeprefix("stage"))


def input_shape(variant: Variant, name: str, image_size: int) -> tuple[int, int, int]:
    """What a stage behind the first is given of an image: height, width and channels.

    Args:
        variant: the network.
        name: of a stage, not `ALL`.
        image_size: pixels.
    """
    config, before = _config(variant), number(name) - 1
    side = ceil(image_size / 2)  # the stem's
    for stride in config["strides"][:before]:
        side = ceil(side / stride)
    channels = [config["first_conv_filter"], *config["out_channels"]]
    return side, side, channels[before]


def _config(variant: Variant) -> _Config:
    return cast(_Config, variant.config)
