"""The numbers of a network's BatchNorm."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchNorm:
    """What every BatchNorm of a network is given; None leaves the network's own number.

    Attributes:
        momentum: how much of its statistics it keeps a step, as Keras means it; 1 less what PyTorch
            calls by that name.
        epsilon: added to the variance.
    """

    momentum: float | None = None
    epsilon: float | None = None


OWN = BatchNorm()
