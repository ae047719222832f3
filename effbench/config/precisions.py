"""The precisions that a network computes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkPrecision:
    """One precision.

    Attributes:
        name: what `--precision` and records call it.
        policy: the Keras policy that a network is built with.
        full_float32: whether products of float32 numbers are as exact as float32 is.
        tolerance: how far features may be from TensorFlow's on a CPU, relative to their norm.
        kinds: of devices that have it.
        value_bytes: bytes of a value between two layers.
    """

    name: str
    policy: str
    full_float32: bool
    tolerance: float
    kinds: tuple[str, ...] = ("cpu", "gpu", "tpu")
    value_bytes: int = 4


PRECISIONS: Mapping[str, NetworkPrecision] = {
    row.name: row
    for row in (
        NetworkPrecision("float32", "float32", True, 1e-4),
        # What NVIDIA cards since Ampere make of float32 where nobody forbids it: 10 bits, not 23.
        NetworkPrecision("tensorfloat32", "float32", False, 1e-2, ("gpu",)),
        NetworkPrecision("mixed_bfloat16", "mixed_bfloat16", False, 5e-2, value_bytes=2),
    )
}

# What "auto" is, by kind of device: bfloat16 where the hardware multiplies in it.
USUAL: Mapping[str, str] = {"cpu": "float32", "gpu": "mixed_bfloat16", "tpu": "mixed_bfloat16"}
