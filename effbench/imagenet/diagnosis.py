"""Why a network with a release's weights is hardly better than chance: the likely cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

# Times as accurate as by chance, up to which nothing has been learned.
NEAR = 10
# Images and images of a class that it takes to say so.
ENOUGH, ENOUGH_OF_A_CLASS = 100, 5
# Shares of images from which on a pattern is one.
MOST, MANY = 0.5, 0.3


def near_chance(correct: int, total: int, classes: int) -> bool:
    """Whether an accuracy is what guessing gives, more or less."""
    return total >= ENOUGH and correct * classes <= NEAR * total


def cause(
    predicted: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[int],
    beside: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> str:
    """What is likely to be wrong where an accuracy is near chance, in a line.

    Args:
        predicted: int [n], the likeliest of all classes, in the order of `synsets`.
        labels: the same, as they were read.
        classes: those that labels may be.
        beside: the labels of other images than each, by what these are to it: "next".
    """
    for word, others in beside.items():
        share = float((predicted == others).mean())
        if share > MANY:
            return (
                f"labels are of other images: {100 * share:.0f} % are right by the label of the "
                f"{word} image, so the answers have a line too many or too few"
            )
    for pattern in _PATTERNS:
        for text in pattern(predicted, labels, classes):
            return text
    return "no pattern: look at the images, their labels and the file of weights"


def _one_class(predicted: np.ndarray, _: np.ndarray, __: Sequence[int]) -> Iterator[str]:
    ((number, count),) = Counter(predicted.tolist()).most_common(1)
    if count > MOST * len(predicted):
        share = 100 * count / len(predicted)
        yield (
            f"{share:.0f} % of all images are taken for class {number}: the pixels are not "
            "rescaled as the weights expect (--rescale), or they are not this network's"
        )


def _shifted(predicted: np.ndarray, labels: np.ndarray, _: Sequence[int]) -> Iterator[str]:
    for shift, word in ((1, "low"), (-1, "high")):
        share = float((predicted == labels + shift).mean())
        if share > MANY:
            yield (
                f"labels are shifted: {100 * share:.0f} % are right if each is one too {word}; "
                "networks count classes from 0, the devkit from 1"
            )


def _as_words(predicted: np.ndarray, labels: np.ndarray, _: Sequence[int]) -> Iterator[str]:
    words = np.array(sorted(range(1000), key=str))
    share = float((predicted == words[labels]).mean())
    if share > MANY:
        yield (
            f"folders of numbers were sorted as words (0, 1, 10, ...): {100 * share:.0f} % are "
            "right if their numbers are the classes"
        )


def _another_order(
    predicted: np.ndarray, labels: np.ndarray, classes: Sequence[int]
) -> Iterator[str]:
    shares = []
    for number in classes:
        of_class = predicted[labels == number]
        if len(of_class) >= ENOUGH_OF_A_CLASS:
            shares.append(Counter(of_class.tolist()).most_common(1)[0][1] / len(of_class))
    if len(shares) > 1 and float(np.mean(shares)) > MANY:
        yield (
            f"classes are in another order: {100 * np.mean(shares):.0f} % of the images of a class "
            "are taken for one and the same other; the devkit's numbers are not in the order of ids"
        )


def _too_few(_: np.ndarray, labels: np.ndarray, __: Sequence[int]) -> Iterator[str]:
    if (np.bincount(labels) >= ENOUGH_OF_A_CLASS).sum() < 2:
        yield (
            "no pattern in so few images of each class: another order of classes shows from "
            f"{ENOUGH_OF_A_CLASS} images of a class on, so score more"
        )


_Pattern = Callable[[np.ndarray, np.ndarray, Sequence[int]], Iterator[str]]
_PATTERNS: Sequence[_Pattern] = (_one_class, _shifted, _as_words, _another_order, _too_few)
