"""How an image of any shape becomes a square: the two choices, as tables of what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Predicate

FITS: Mapping[str, str] = {
    "squash": "the whole image, its sides stretched to the same length",
    "crop": "the largest square in the centre",
    "pad": "the whole image in its own proportions, black beside it",
}
FILTERS: Mapping[str, str] = {
    "bilinear": "over 2 pixels a side",
    "bicubic": "over 4 pixels a side",
}


@dataclass(frozen=True)
class Geometry:
    """How an image of any shape becomes a square.

    Attributes:
        fit: name of a row of `FITS`.
        filter: name of a row of `FILTERS`; where an image shrinks, it is widened by as much, so
            that fine patterns are averaged (antialiasing).
    """

    fit: Annotated[str, Predicate(FITS.__contains__)] = "squash"
    filter: Annotated[str, Predicate(FILTERS.__contains__)] = "bilinear"
