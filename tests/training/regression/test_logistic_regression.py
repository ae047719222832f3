"""The regression is scikit-learn's, solved to the end, whatever the path and the threads."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from effbench.training.regression import logistic_regression
from effbench.training.regression.logistic_regression import Regression, Solution

CLASSES = 4
EVEN = np.ones(CLASSES)
GRID = [float(l2) for l2 in np.geomspace(1e3, 1e-3, 13)]


def examples(images: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Features that hang together, on very different scales, and labels that they hint at."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(images, width)) * np.geomspace(1, 1e-3, width)
    features = hidden @ random.normal(size=(width, width)) + 5 * random.normal(size=width)
    scores = hidden @ random.normal(size=(width, CLASSES)) + random.normal(size=(images, CLASSES))
    labels = scores.argmax(axis=1)
    assert len(set(labels)) == CLASSES
    return features.astype(np.float32), labels


MANY = examples(300, 20)
FEW = examples(15, 40)


def solve(data, grid=GRID, weights=EVEN, **options: object) -> list[Solution]:
    return list(Regression(*data, weights, **options).solutions(grid))


def exact(l2: float, **options: object) -> LogisticRegression:
    """Newton's method, which takes few steps however the features hang together."""
    return LogisticRegression(
        C=1 / (2 * l2), solver="newton-cholesky", tol=1e-12, max_iter=1_000, **options
    )


def same_chances(solution: Solution, other: np.ndarray, features: np.ndarray) -> None:
    chances = softmax(features.astype(np.float64) @ solution.kernel + solution.bias, axis=1)
    np.testing.assert_allclose(chances, other, atol=1e-4)


@pytest.mark.parametrize("data", [MANY, FEW], ids=["many images", "few images"])
@pytest.mark.parametrize("standardize", [False, True])
def test_it_is_the_regression_of_scikit_learn(data, standardize):
    features, labels = data
    scaled = features.astype(np.float64)
    if standardize:
        scaled = StandardScaler().fit_transform(scaled)
    solutions = solve(data, standardize=standardize)
    assert [solution.l2 for solution in solutions] == GRID
    for solution in solutions[::4]:
        assert solution.converged
        plain = exact(solution.l2).fit(scaled, labels)
        same_chances(solution, plain.predict_proba(scaled), features)


def test_classes_can_count_differently():
    features, labels = MANY
    counts = np.bincount(labels)
    weights = len(labels) / (CLASSES * counts)
    plain = exact(1.0, class_weight="balanced").fit(features.astype(np.float64), labels)
    (solution,) = solve(MANY, [1.0], weights)
    same_chances(solution, plain.predict_proba(features.astype(np.float64)), features)


def test_the_gradient_at_the_end_is_as_small_as_it_says():
    features, labels = MANY
    for solution in solve(MANY):
        logits = features.astype(np.float64) @ solution.kernel + solution.bias
        wrong = (softmax(logits, axis=1) - np.eye(CLASSES)[labels]) / len(labels)
        centred = features - features.mean(axis=0, dtype=np.float64)
        kernel = centred.T @ wrong + 2 * solution.l2 / len(labels) * solution.kernel
        norm = np.hypot(np.linalg.norm(kernel), np.linalg.norm(wrong.sum(axis=0)))
        # Components are rounded to float32.
        assert norm == pytest.approx(solution.gradient_norm, rel=0.05, abs=1e-6)
        assert norm < 1e-4 * np.linalg.norm(centred.T @ np.eye(CLASSES)[labels]) / len(labels)


def test_the_way_to_a_solution_does_not_change_it():
    last = solve(MANY)[-1]
    alone, *_ = solve(MANY, GRID[-1:])
    sparse = solve(MANY, GRID[::12])[-1]
    features, _ = MANY
    for other in (alone, sparse):
        assert other.l2 == last.l2
        chances = softmax(features @ other.kernel + other.bias, axis=1)
        same_chances(last, chances, features)


def test_it_is_the_same_bytes_again_and_with_other_threads(monkeypatch):
    monkeypatch.setattr(logistic_regression, "_IMAGES", 32)
    first, again, threaded = (solve(MANY, threads=threads) for threads in (1, 1, 3))
    for others in (again, threaded):
        for one, other in zip(first, others, strict=True):
            assert one.kernel.tobytes() == other.kernel.tobytes()
            assert (one.gradient_norm, one.iterations) == (other.gradient_norm, other.iterations)


def test_weaker_l2_fits_better():
    features, labels = MANY
    losses = []
    for solution in solve(MANY):
        likely = log_softmax(features @ solution.kernel + solution.bias, axis=1)
        losses.append(-likely[np.arange(len(labels)), labels].mean())
    assert losses == sorted(losses, reverse=True)


def test_one_that_is_ended_early_says_so(monkeypatch):
    monkeypatch.setattr(logistic_regression, "MOST_ITERATIONS", 2)
    assert not solve(MANY, [1e-3])[0].converged


def test_features_that_never_change_change_nothing():
    features, labels = MANY
    dead = np.hstack([features, np.full((len(features), 3), 7, np.float32)])
    for standardize in (False, True):
        (plain,) = solve(MANY, [1.0], standardize=standardize)
        (beside,) = solve((dead, labels), [1.0], standardize=standardize)
        np.testing.assert_array_equal(beside.kernel[-3:], 0)
        np.testing.assert_allclose(beside.kernel[:-3], plain.kernel, rtol=1e-3, atol=1e-5)
