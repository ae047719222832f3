"""An engine shows that it computes what TensorFlow computes, before its numbers count."""

from __future__ import annotations

import numpy as np

from effbench.errors import FeaturesDifferError

# How many images both compute the features of.
IMAGES = 32


def difference(features: np.ndarray, reference: np.ndarray) -> float:
    """How far features [n, width] are from others, relative to the norm of these."""
    exact = reference.astype(np.float64)
    return float(np.linalg.norm(features - exact) / np.linalg.norm(exact))


def check(engine: str, difference: float, tolerance: float) -> None:
    """Makes sure that the features of an engine are near enough.

    Raises:
        FeaturesDifferError: they are not, or are no numbers.
    """
    if not difference <= tolerance:
        raise FeaturesDifferError(
            f"features of {engine} must be within {tolerance:g} of TensorFlow's, relative",
            f"{difference:.2g} on {IMAGES} images",
            "use --engine tensorflow",
        )
