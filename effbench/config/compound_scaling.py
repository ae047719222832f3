"""How the networks of the first EfficientNet come out of one: wider and deeper by two numbers.

Tan and Le 2019, arXiv:1905.11946, section 3.3; as `keras_efficientnet_v2.efficientnet_v1` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TypedDict, cast

# Channels come in multiples of it.
UNIT = 8


class _Base(TypedDict):
    """What is scaled of a row of the package's `BLOCK_CONFIGS`; lists are by stage."""

    first_conv_filter: int
    output_conv_filter: int
    out_channels: list[int]
    depthes: list[int]


class _Factors(TypedDict):
    width: float
    depth: float


def scaled(base: Mapping[str, object], factors: Mapping[str, object]) -> dict[str, object]:
    """A row of the package's `BLOCK_CONFIGS` for one network.

    Args:
        base: the row that all networks come from.
        factors: of this one, by the names "width" and "depth".
    """
    small, by = cast(_Base, base), cast(_Factors, factors)
    return {
        **base,
        "first_conv_filter": channels(small["first_conv_filter"] * by["width"]),
        "output_conv_filter": channels(small["output_conv_filter"] * by["width"]),
        "out_channels": [channels(count * by["width"]) for count in small["out_channels"]],
        "depthes": [ceil(count * by["depth"]) for count in small["depthes"]],
    }


def channels(wanted: float) -> int:
    """The multiple of `UNIT` that is nearest, but never a tenth less than what is wanted."""
    nearest = max(UNIT, int(wanted + UNIT / 2) // UNIT * UNIT)
    return nearest + UNIT if nearest < 0.9 * wanted else nearest
