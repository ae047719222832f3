"""A process that takes training steps of timm's networks on torch; it needs torch and timm."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from effbench.bench.timed_calls import Prepared, serve, so_many


@dataclass(frozen=True)
class TorchStep:
    """Training steps of a network of a peer.

    Attributes:
        variant: effbench's name of the network.
        image_size: pixels that it sees; the images that it is given are resized inside.
        batch_size: images of a step.
        precision: "float32" or "mixed_bfloat16".
        way: "eager" or "compiled".
    """

    variant: str
    image_size: int
    batch_size: int
    precision: str
    way: str


def main() -> int:
    """Does what `serve` says."""
    return serve(TorchStep, _prepared, so_many, ImportError)


def _prepared(case: TorchStep) -> Prepared:
    from effbench.bench import timm_peer

    call = timm_peer.step(
        *(case.variant, case.image_size, case.batch_size, case.precision, case.way, "cpu")
    )
    call()
    return Prepared(call, timm_peer.versions())


if __name__ == "__main__":
    sys.exit(main())
