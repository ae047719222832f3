"""Multinomial logistic regression on features, solved to the end for one L2 after the other.

What is minimised over the training images is the sum of their cross-entropies (nats, each times the
weight of its class) plus `l2` times the sum of squares of the kernel; the bias is free. That is the
scaling of Kornblith's own tool (google-research, linear_eval), so that the 45 values from 1e-6 to
1e5 of Kornblith, Shlens and Le 2019 are taken as they stand. scikit-learn's C is 1 / (2 l2).

A network's features are far from independent, and where L2 is weak plain L-BFGS takes thousands of
iterations. Three things make it dozens, and leave the solution as it is:

1. The kernel is looked for among the principal components of the features, each scaled by the root
   of its curvature, which is known of them. A rotation changes nothing about L2.
2. The search for one L2 begins where the solutions for the stronger ones point to.
3. It ends by what is left to gain relative to what is minimised, not by an absolute figure, which
   would be too strict where L2 is strong and too lax where the loss is nearly 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from effbench.training.regression.principal_components import components, parts, workers

# The largest entry of the gradient at the end, in the scaled components, for a minimum of 1. What
# is minimised is then right to 4e-6 of itself (B0's 45,000 x 1280 features of CIFAR-10 at L2 = 10,
# beside scikit-learn's solution for a hundredth of its usual tolerance).
TOLERANCE = 3e-5
MOST_ITERATIONS = 2_000
# Images that are worked on at once: few enough for a processor's cache.
_IMAGES = 256
# Where every image is beyond doubt, the curvature vanishes, by which coordinates are divided.
_LEAST_CURVATURE = 1e-12


@dataclass(frozen=True)
class Solution:
    """The head for one L2.

    Attributes:
        l2: how much the squares of the kernel count.
        kernel: float64 [width, classes], of the features as they are; if L2 was on standardized
            ones, that is a part of it.
        bias: float64 [classes].
        gradient_norm: Euclidean norm of the gradient at the end: of what is minimised, divided by
            the number of images, with regard to the kernel that L2 is on, and the bias.
        iterations: of L-BFGS.
        converged: whether the gradient became as small as `TOLERANCE` says.
    """

    l2: float
    kernel: np.ndarray
    bias: np.ndarray
    gradient_norm: float
    iterations: int
    converged: bool


class Regression:
    """The problem for some training images, prepared once for all L2.

    Its parameters are one array, float64 [components + 1, classes]: the kernel of the components,
    and below it the bias.
    """

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray,
        *,
        standardize: bool = False,
        threads: int = 1,
    ) -> None:
        """Finds the principal components, which take as much memory as the features.

        Args:
            features: float32 [n, width], finite.
            labels: int [n].
            weights: [classes], how much each class counts, on average over the images 1.
            standardize: whether L2 is on the kernel of features of mean 0 and standard deviation 1,
                instead of the features as they are.
            threads: how many parts of the images are worked on at the same time.
        """
        self._components = components(features, threads, standardize=standardize)
        self._labels = labels.astype(np.int64)
        self._weights = weights.astype(np.float64)
        self._threads = threads

    def solutions(self, grid: Sequence[float]) -> Iterator[Solution]:
        """The solution for each L2 of `grid`: positive numbers, the strongest first.

        The search begins at the last solution or, if that is better, where a parabola through the
        last three goes next, which is close by for L2 that are evenly spaced in their logarithms.
        """
        last = [np.zeros((len(self._components.variances) + 1, len(self._weights)))]
        for l2 in grid:
            with workers(self._threads) as pool:
                parameters, solution = self._solve(pool, l2, (last[-1], _next(last)))
            last = [*last[-2:], parameters]
            yield solution

    def _solve(
        self, pool: Executor, l2: float, starts: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, Solution]:
        """The parameters and the solution, looked for from the best of some starts."""
        from scipy.optimize import minimize

        share = l2 / len(self._labels)

        def penalty(parameters: np.ndarray) -> float:
            return share * float((parameters[:-1] ** 2).sum())

        slopes = [self._slope(pool, start) for start in starts]
        least = [loss + penalty(start) for start, (loss, *_) in zip(starts, slopes, strict=True)]
        best = int(np.argmin(least))
        start, curvature = starts[best], max(slopes[best][-1], _LEAST_CURVATURE)
        curvatures = np.append(curvature * self._components.variances + 2 * share, curvature)
        roots = np.sqrt(curvatures)[:, None]

        def slope(point: np.ndarray) -> tuple[float, np.ndarray]:
            parameters = point.reshape(start.shape) / roots
            loss, gradient, _ = self._slope(pool, parameters)
            gradient[:-1] += 2 * share * parameters[:-1]
            return loss + penalty(parameters), (gradient / roots).ravel()

        # What is left to gain goes with the square of the gradient.
        enough = TOLERANCE * np.sqrt(min(1.0, least[best]))
        result = minimize(
            slope,
            (start * roots).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={
                "gtol": enough,
                "ftol": 0.0,  # nothing but the gradient says that this is the end
                "maxiter": MOST_ITERATIONS,
                "maxfun": 2 * MOST_ITERATIONS,
            },
        )
        parameters = result.x.reshape(start.shape) / roots
        kernel, bias = parameters[:-1], parameters[-1]
        return parameters, Solution(
            l2,
            self._components.kernel @ kernel,
            self._components.bias @ kernel + bias,
            float(np.linalg.norm(result.jac.reshape(start.shape) * roots)),
            int(result.nit),
            bool(np.abs(result.jac).max() <= enough),
        )

    def _slope(self, pool: Executor, parameters: np.ndarray) -> tuple[float, np.ndarray, float]:
        """The mean loss, its gradient, and how much the loss bends.

        Returns:
            nats; float64 as `parameters`; the mean of p (1 - p) over images and classes.
        """
        images, classes = len(self._labels), len(self._weights)
        loss, gradient, curvature = 0.0, np.zeros_like(parameters), 0.0
        of_parts = pool.map(partial(self._part, parameters), parts(images, _IMAGES))
        for part_loss, part_gradient, part_curvature in of_parts:
            loss += part_loss
            gradient += part_gradient
            curvature += part_curvature
        return loss / images, gradient / images, curvature / images / classes

    def _part(self, parameters: np.ndarray, part: slice) -> tuple[float, np.ndarray, float]:
        """The sums over some images of which `_slope` has the means."""
        # All arithmetic is float64: in float32 the searches end before they are done.
        values = self._components.values[part].astype(np.float64)
        labels = self._labels[part]
        weights = self._weights[labels]
        true = np.arange(len(labels)), labels
        logits = values @ parameters[:-1] + parameters[-1]
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits)
        totals = chances.sum(axis=1)
        loss = float(weights @ (np.log(totals) - logits[true]))
        chances /= totals[:, None]
        curvature = float(weights @ (chances * (1 - chances)).sum(axis=1))
        chances[true] -= 1
        chances *= weights[:, None]
        # Written so, BLAS takes two thirds of the time of values.T @ chances.
        gradient = np.vstack([(chances.T @ values).T, chances.sum(axis=0)])
        return loss, gradient, curvature


def _next(last: Sequence[np.ndarray]) -> np.ndarray:
    """Where one, two or three values, evenly spaced, go next: by a line, or by a parabola."""
    if len(last) == 3:
        return 3 * last[2] - 3 * last[1] + last[0]
    return 2 * last[-1] - last[0]
