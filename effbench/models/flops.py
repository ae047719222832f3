"""What a forward pass costs, from the package's table of networks; no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import NotRequired, TypedDict, cast

from effbench.config.variants import Variant


class _Config(TypedDict):
    """What this file reads of a row of the package's `BLOCK_CONFIGS`; lists are by stage."""

    first_conv_filter: int
    output_conv_filter: NotRequired[int]
    expands: list[int]
    out_channels: list[int]
    depthes: list[int]
    strides: list[int]
    use_ses: list[int]
    kernel_sizes: NotRequired[list[int]]


@dataclass(frozen=True)
class Convolution:
    """A convolution with what follows it.

    Attributes:
        side: side of its output, pixels.
        kernel: side of its kernel, pixels.
        inputs: channels that each output channel reads; 1 where it is depthwise.
        outputs: channels that it writes.
        extra: parameters beside the kernel for each output channel: the four of a BatchNorm, or
            the one bias of squeeze-excitation.
    """

    side: int
    kernel: int
    inputs: int
    outputs: int
    extra: int = 4

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return self.side**2 * self.kernel**2 * self.inputs * self.outputs

    @property
    def parameters(self) -> int:
        """Parameters, BatchNorm statistics included."""
        return (self.kernel**2 * self.inputs + self.extra) * self.outputs


@cache
def multiply_adds(variant: Variant, image_size: int) -> int:
    """Multiply-adds of the backbone's convolutions in a forward pass, for one image.

    One multiplication and one addition count as one. The field calls this FLOPs: for S at 384
    pixels and M and L at 480, table 7 of the paper (Tan and Le 2021, arXiv:2104.00298) has 8.8, 24
    and 53 billion; torchvision's documentation has 8.37, 24.58 and 56.08, as this function.

    Args:
        variant: which network; without its top.
        image_size: side of the square image, pixels; any.
    """
    return sum(layer.multiply_adds for layer in convolutions(variant, image_size))


def convolutions(variant: Variant, image_size: int) -> Iterator[Convolution]:
    """All convolutions of a backbone in their order, as `keras_efficientnet_v2` builds it.

    The package rounds widths to multiples of 8; those in `config` are multiples of 8 already.
    """
    config = cast(_Config, variant.config)
    side, width = ceil(image_size / 2), config["first_conv_filter"]
    yield Convolution(side, 3, 3, width)
    stages = zip(
        config["expands"],
        config["out_channels"],
        config["depthes"],
        config["strides"],
        config["use_ses"],
        config.get("kernel_sizes", [3] * len(config["depthes"])),
        strict=True,
    )
    for expand, outputs, depth, stride, squeeze, kernel in stages:
        for block in range(depth):
            before, side = side, side if block else ceil(side / stride)
            if squeeze:
                yield from _squeezed(before, side, kernel, width, expand, outputs)
            else:
                yield from _fused(side, width, expand, outputs)
            width = outputs
    yield Convolution(side, 1, width, config.get("output_conv_filter", 1280))


def _squeezed(
    before: int, side: int, kernel: int, inputs: int, expand: int, outputs: int
) -> Iterator[Convolution]:
    """MBConv with squeeze-excitation; `before` is the side of its input."""
    wide = inputs * expand
    if expand > 1:
        yield Convolution(before, 1, inputs, wide)
    yield Convolution(side, kernel, 1, wide)
    yield Convolution(1, 1, wide, inputs // 4, extra=1)
    yield Convolution(1, 1, inputs // 4, wide, extra=1)
    yield Convolution(side, 1, wide, outputs)


def _fused(side: int, inputs: int, expand: int, outputs: int) -> Iterator[Convolution]:
    """Fused-MBConv."""
    if expand > 1:
        yield Convolution(side, 3, inputs, inputs * expand)
        yield Convolution(side, 1, inputs * expand, outputs)
    else:
        yield Convolution(side, 3, inputs, outputs)
