"""A process that computes features by torch, of timm's networks or of torchvision's.

It needs torch, timm and numpy; effbench's other packages need not be there.
"""

from __future__ import annotations

import sys

from effbench.bench.feature_case import FeatureCase
from effbench.bench.timed_calls import Prepared, for_seconds, serve


def main() -> int:
    """Does what `serve` says."""
    return serve(FeatureCase, _prepared, for_seconds, ImportError)


def _prepared(case: FeatureCase) -> Prepared:
    from effbench.bench import timm_peer

    source = timm_peer.of_torchvision if case.tool == "torch" else timm_peer.of_timm
    call = timm_peer.features(
        *(case.variant, case.image_size, case.batch, case.precision, case.way, "cpu"), source
    )
    call()
    return Prepared(call, timm_peer.versions())


if __name__ == "__main__":
    sys.exit(main())
