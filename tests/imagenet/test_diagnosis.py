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


def line_on(predicted, labels, *more):
    return diagnosis.cause(int((predicted == labels).sum()), predicted, labels, range(1000), *more)


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
    assert line_on(RIGHT, labels).startswith(cause)


@pytest.mark.parametrize(("word", "by"), [("next", -1), ("previous", 1)])
def test_labels_of_other_images(word, by):
    """The images come in no order of classes, as in one folder."""
    order = GENERATOR.permutation(len(LABELS))
    labels, right = LABELS[order], RIGHT[order]
    beside = {"next": np.roll(labels, -1), "previous": np.roll(labels, 1)}
    found = line_on(np.roll(right, by), labels, beside)
    assert found.startswith(
        "labels are of other images: 80 % are right by the label of the " + word
    )


def test_pixels_that_are_wrong():
    found = line_on(np.full(len(LABELS), 611), LABELS)
    assert found.startswith("100 % of all images are taken for class 611: the pixels are not")


def test_no_pattern_is_said_too():
    guesses = GENERATOR.integers(0, 1000, len(LABELS))
    assert line_on(guesses, LABELS).startswith("no pattern")


def test_one_image_of_a_class_does_not_tell_its_order():
    """As of `--limit 1000`; that labels are shifted is seen all the same."""
    one_each = np.arange(1000)
    found = line_on(ORDER[one_each], one_each)
    assert found.startswith("no pattern in so few images of each class")
    assert line_on((one_each + 1) % 1000, one_each).startswith("labels are sh")


@pytest.mark.parametrize(
    ("correct", "total", "classes", "near"),
    [
        *((500, 50_000, 1000, True), (501, 50_000, 1000, False), (0, 50, 1000, False)),
        *((900, 1000, 10, False), (100, 1000, 10, True)),
    ],
)
def test_near_chance(correct, total, classes, near):
    assert diagnosis.near_chance(correct, total, classes) == near


@pytest.mark.parametrize("of_a_class", [2, 50])
def test_the_best_of_several_patterns_is_named(of_a_class):
    """Each folder has the next one's images: of two in a class, one is right by its neighbour."""
    labels = np.repeat(np.arange(1000), of_a_class)
    beside = {"next": np.roll(labels, -1), "previous": np.roll(labels, 1)}
    line = line_on(np.minimum(labels + 1, 999), labels, beside)
    assert line.startswith("labels are shifted: 100 % are right if each is one too low")


@pytest.mark.parametrize("order", [WORDS, np.argsort(WORDS)], ids=["words", "ranks"])
@pytest.mark.parametrize("seen", [LABELS, RIGHT], ids=["a perfect network", "four in five"])
def test_words_are_known_though_some_stand_where_they_should(seen, order):
    """The folder of the i-th word has class i, or folder i has that of the i-th word."""
    line = line_on(seen, order[LABELS])
    assert line.startswith("folders of numbers were sorted as words (0, 1, 10, ...)")


@pytest.mark.parametrize("right", [0.03, 0.1, 0.4, 0.8])
def test_a_network_that_is_merely_bad_is_not_in_doubt(right):
    """Its errors have a favourite, as confusions do."""
    guesses = GENERATOR.integers(0, 1000, len(LABELS))
    favourite = np.where(GENERATOR.random(len(LABELS)) < 0.25, ORDER[LABELS], guesses)
    predicted = np.where(GENERATOR.random(len(LABELS)) < right, LABELS, favourite)
    assert line_on(predicted, LABELS) == ""
