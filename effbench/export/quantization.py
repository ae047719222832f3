"""In what an exported model keeps its weights and computes: the rows of `--quantize`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """One of them.

    Attributes:
        name: what `--quantize` calls it.
        tolerance: the largest difference to a probability of the run's own network that can be
            without a mistake.
        half: whether weights take 16 bits.
        integer: whether it computes in whole numbers, whose range training images show.
    """

    name: str
    tolerance: float
    half: bool = False
    integer: bool = False


# Float32 differs by 1e-6; a wrong resize, rescaling or layer by far more.
FLOAT32 = Precision("float32", 1e-3)
FLOAT16 = Precision("float16", 3e-2, half=True)
# Noise is far from the images that showed the ranges; what is lost is counted on real ones.
INT8 = Precision("int8", 1.0, integer=True)
# What is said before the list of parts that `int8` leaves out.
IN_FLOAT = (
    "Kept in float, as 8 bits would be too far off (a step is the smallest difference that "
    "a part's 8 bits can tell):"
)
PRECISIONS: Mapping[str, Precision] = {row.name: row for row in (FLOAT32, FLOAT16, INT8)}
