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


@pytest.mark.parametrize(("word", "by"), [("next", -1), ("previous", 1)])
def test_labels_of_other_images(word, by):
    """The images come in no order of classes, as in one folder."""
    order = GENERATOR.permutation(len(LABELS))
    labels, right = LABELS[order], RIGHT[order]
    beside = {"next": np.roll(labels, -1), "previous": np.roll(labels, 1)}
    found = diagnosis.cause(np.roll(right, by), labels, range(1000), beside)
    assert found.startswith(
        "labels are of other images: 80 % are right by the label of the " + word
    )


def test_pixels_that_are_wrong():
    found = diagnosis.cause(np.full(len(LABELS), 611), LABELS, range(1000))
    assert found.startswith("100 % of all images are taken for class 611: the pixels are not")


def test_no_pattern_is_said_too():
    guesses = GENERATOR.integers(0, 1000, len(LABELS))
    assert diagnosis.cause(guesses, LABELS, range(1000)).startswith("no pattern")


def test_one_image_of_a_class_does_not_tell_its_order():
    """As of `--limit 1000`; that labels are shifted is seen all the same."""
    one_each = np.arange(1000)
    found = diagnosis.cause(ORDER[one_each], one_each, range(1000))
    assert found.startswith("no pattern in so few images of each class")
    assert diagnosis.cause((one_each + 1) % 1000, one_each, range(1000)).startswith("labels are sh")


@pytest.mark.parametrize(
    ("correct", "total", "classes", "near"),
    [(500, 50_000, 1000, True), (501, 50_000, 1000, False), (0, 50, 1000, False)],
)
def test_near_chance(correct, total, classes, near):
    assert diagnosis.near_chance(correct, total, classes) == near
