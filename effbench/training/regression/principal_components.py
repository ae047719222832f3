"""The principal components of features: the same images, with axes along which they vary most."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

# Images of which products are formed at once: few against all, many against the width.
_IMAGES = 8_192
# What varies by a smaller share of the largest variance is rounding, of float32.
_LEAST_VARIANCE = 1e-13


@dataclass(frozen=True)
class Components:
    """Features as their principal components; there are no more of these than images.

    Attributes:
        values: float32 [n, components], centred.
        variances: float64 [components], over the images.
        kernel: float64 [width, components]: features @ kernel + bias are the values.
        bias: float64 [components].
    """

    values: np.ndarray
    variances: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray


def components(features: np.ndarray, threads: int, *, standardize: bool) -> Components:
    """The principal components of features, or of standardized ones.

    Args:
        features: float32 [n, width], finite.
        threads: how many parts are worked on at the same time.
        standardize: whether each feature is divided by its standard deviation first.
    """
    # Before the threads of its BLAS are counted; other recipes do without it, and start sooner.
    from scipy.linalg import eigh

    images, width = features.shape
    rows = parts(images, _IMAGES)
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt(
        sum((((features[part] - mean) ** 2).sum(axis=0) for part in rows), np.zeros(width)) / images
    )
    # A feature that is the same in all images tells nothing, on any scale.
    scale = 1 / np.where(deviation == 0, 1.0, deviation) if standardize else np.ones(width)

    def scaled(part: slice) -> np.ndarray:
        return (features[part] - mean) * scale

    def products(part: slice) -> np.ndarray:
        values = scaled(part)
        return values.T @ values

    if images < width:
        # The products of images with one another have the same variances, and are fewer.
        whole = scaled(slice(None))
        variances, vectors = eigh(whole @ whole.T / images)
        kept = variances > _LEAST_VARIANCE * variances[-1]
        deviations = np.sqrt(images * variances[kept])
        axes = whole.T @ vectors[:, kept] / deviations
        values = (vectors[:, kept] * deviations).astype(np.float32)
    else:
        with workers(threads) as pool:
            covariance = sum(pool.map(products, rows), np.zeros((width, width))) / images
        variances, vectors = eigh(covariance)
        kept = variances > _LEAST_VARIANCE * variances[-1]
        axes = vectors[:, kept]
        with workers(threads) as pool:
            values = np.concatenate(
                list(pool.map(lambda part: (scaled(part) @ axes).astype(np.float32), rows))
            )
    kernel = scale[:, None] * axes
    return Components(values, variances[kept], kernel, -mean @ kernel)


def parts(images: int, size: int) -> list[slice]:
    """All images in their order, `size` at a time."""
    return [slice(first, first + size) for first in range(0, images, size)]


@contextmanager
def workers(threads: int) -> Iterator[Executor]:
    """Threads that do their arithmetic each by itself.

    What they return for `parts` is added up in the order of these, so that sums do not depend on
    how many threads there are.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        yield pool
