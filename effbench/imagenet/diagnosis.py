"""Why a network with a release's weights does badly: what its labels or pixels must be instead.

Every way in which labels go wrong leaves hardly any right, and makes the network's answers right by
another reading. So an accuracy is in doubt where it is near chance, and also above it where another
reading explains far more: folders of numbers that were sorted as words leave 12 of 1,000 where they
belong, so that a perfect network still has 1.2 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

# Times as accurate as by chance, up to which nothing has been learned; of few classes, a tenth of
# the images.
NEAR, HARDLY = 10, 0.1
# Times as many images as the labels explain, from which on another reading is believed. Hard sets
# (ImageNet-A, small images) have honest accuracies of a few percent, and no reading beats these so.
FAR_MORE = 10
# Images and images of a class that it takes to say so.
ENOUGH, ENOUGH_OF_A_CLASS = 100, 5
# Shares of images from which on a pattern is one.
MOST, MANY = 0.5, 0.3
# An order of classes explains by itself whatever a rule of classes does, and some luck.
LUCK = 0.1


@dataclass(frozen=True)
class Reading:
    """One way to explain the answers of a network.

    Attributes:
        share: of the images that it explains.
        text: what is wrong if it is true, in a line.
    """

    share: float
    text: str


def near_chance(correct: int, total: int, classes: int) -> bool:
    """Whether an accuracy is what guessing gives, more or less."""
    return total >= ENOUGH and correct <= min(NEAR / classes, HARDLY) * total


def cause(
    correct: int,
    predicted: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[int],
    beside: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> str:
    """What is likely to be wrong, in a line; "" where the labels explain the answers.

    Of all readings the one that explains most images is named.

    Args:
        correct: images that are right by their labels.
        predicted: int [n], the likeliest of all classes, in the order of `synsets`.
        labels: the same, as they were read.
        classes: those that labels may be.
        beside: the labels of other images than each, by what these are to it: "next".
    """
    total = len(predicted)
    near = near_chance(correct, total, len(classes))
    readings = [
        *_of_other_images(predicted, beside),
        *(reading for rule in _RULES for reading in rule(predicted, labels)),
        *_another_order(predicted, labels, classes),
    ]
    best = max(readings, key=lambda reading: reading.share, default=None)
    if best and total >= ENOUGH and (near or best.share * total >= FAR_MORE * correct):
        return best.text
    if not near:
        return ""
    if (np.bincount(labels) >= ENOUGH_OF_A_CLASS).sum() < 2:
        return (
            "no pattern in so few images of each class: another order of classes shows from "
            f"{ENOUGH_OF_A_CLASS} images of a class on, so score more"
        )
    return "no pattern: look at the images, their labels and the file of weights"


def _of_other_images(predicted: np.ndarray, beside: Mapping[str, np.ndarray]) -> Iterator[Reading]:
    for word, others in beside.items():
        share = float((predicted == others).mean())
        if share > MANY:
            yield Reading(
                share,
                f"labels are of other images: {100 * share:.0f} % are right by the label of the "
                f"{word} image, so the answers have a line too many or too few",
            )


def _one_class(predicted: np.ndarray, _: np.ndarray) -> Iterator[Reading]:
    ((number, count),) = Counter(predicted.tolist()).most_common(1)
    share = count / len(predicted)
    if share > MOST:
        yield Reading(
            share,
            f"{100 * share:.0f} % of all images are taken for class {number}: the pixels are not "
            "rescaled as the weights expect (--rescale), or they are not this network's",
        )


def _shifted(predicted: np.ndarray, labels: np.ndarray) -> Iterator[Reading]:
    for shift, word in ((1, "low"), (-1, "high")):
        share = float((predicted == labels + shift).mean())
        if share > MANY:
            yield Reading(
                share,
                f"labels are shifted: {100 * share:.0f} % are right if each is one too {word}; "
                "networks count classes from 0, the devkit from 1",
            )


def _as_words(predicted: np.ndarray, labels: np.ndarray) -> Iterator[Reading]:
    """The folder of the i-th word has the images of class i, or folder i those of the i-th word."""
    words = np.array(sorted(range(1000), key=str))
    for classes in (words, np.argsort(words)):
        share = float((predicted == classes[labels]).mean())
        if share > MANY:
            yield Reading(
                share,
                f"folders of numbers were sorted as words (0, 1, 10, ...): {100 * share:.0f} % are "
                "right if their numbers are the classes",
            )


def _another_order(
    predicted: np.ndarray, labels: np.ndarray, classes: Sequence[int]
) -> Iterator[Reading]:
    shares = []
    for number in classes:
        of_class = predicted[labels == number]
        if len(of_class) >= ENOUGH_OF_A_CLASS:
            shares.append(Counter(of_class.tolist()).most_common(1)[0][1] / len(of_class))
    share = float(np.mean(shares)) if len(shares) > 1 else 0.0
    if share > MANY:
        yield Reading(
            share - LUCK,
            f"classes are in another order: {100 * share:.0f} % of the images of a class are taken "
            "for one and the same other; the devkit's numbers are not in the order of ids",
        )


_Rule = Callable[[np.ndarray, np.ndarray], Iterator[Reading]]
_RULES: Sequence[_Rule] = (_one_class, _shifted, _as_words)
