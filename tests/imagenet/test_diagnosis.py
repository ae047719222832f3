"""The likely cause of an accuracy near chance is found by its pattern."""

import numpy as np
import pytest

from effbench.imagenet import diagnosis

GENERATOR = np.random.default_rng(0)
LABELS = np.repeat(np.arange(1000), 10)
# A network that is right four times in five.
RIGHT = np.where(
    GENERATOR.random(len(LABELS)) < 0.8, LABELS, GENERATOR.integers(0, 1000, len(LABELS))
)
WORDS = np.array(sorted(range(1000), key=str))
ORDER = GENERATOR.permutation(1000)


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        ((LABELS + 1) % 1000, "labels are shifted: 80 % are right if each is one too high"),
        ((LABELS - 1) % 1000, "labels are shifted: 80 % are right if each is one too low"),
        (np.argsort(WORDS)[LABELS], "folders of numbers were sorted as words"),
        (ORDER[LABELS], "classes are in another order: 8"),
    ],
    ids=["one too high", "one too low", "words", "devkit"],
)
def test_labels_that_are_wrong_in_a_way(labels, cause):
    correct = int((labels == RIGHT).sum())
    assert diagnosis.near_chance(correct, len(labels), 1000)
    assert diagnosis.cause(RIGHT, labels, range(1000)).startswith(cause)


def test_pixels_that_are_wrong():
    found = diagnosis.cause(np.full(len(LABELS), 611), LABELS, range(1000))
    assert found.startswith("100 % of all images are taken for class 611: the pixels are not")


def test_no_pattern_is_said_too():
    guesses = GENERATOR.integers(0, 1000, len(LABELS))
    assert diagnosis.cause(guesses, LABELS, range(1000)).startswith("no pattern")


@pytest.mark.parametrize(
    ("correct", "total", "classes", "near"),
    [(500, 50_000, 1000, True), (501, 50_000, 1000, False), (0, 50, 1000, False)],
)
def test_near_chance(correct, total, classes, near):
    assert diagnosis.near_chance(correct, total, classes) == near
