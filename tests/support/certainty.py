"""How often intervals hold the truth, and comparisons find what is not there, on simulated runs.

Every simulated network is right about an image when what makes the image hard, what this network
makes of it, and chance stay below a bound that its seed moves:

    sqrt(alike) * hard + sqrt(1 - alike) * chance < bound + shift,    all of them normal,

where `hard` of an image is shared in half between networks. The bound is such that the expected
accuracy over images and seeds, the truth, is exactly what a case says.

For each case `screened` data sets of each scenario choose the worst: how alike the outcomes of one
image are for two seeds (their correlation), how far seeds spread (in standard errors of the
images), and whether two networks have the same seeds. The worst of many looks worse than it is, so
it is drawn again, `counted` times, and only these data sets count.

`make certainty` writes the table of results/README.md, in ten minutes on one core.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from effbench.report.statistics import Sample, compare, interval

IMAGES = (20, 153, 2000)
ACCURACIES = (0.88, 0.97, 0.994)
SEEDS = (2, 3, 5)
CORRELATIONS = (0.3, 0.5, 0.8, 0.95)
SPREADS = (0.0, 1.0, 2.0)
# Of a second network that is worse: how many times as often it is wrong.
WORSE = 1.5

PAGE = Path(__file__).parent.parent.parent / "results/README.md"
# The table between its marks.
PRINTED = re.compile(r"(?P<head><!-- certainty -->\n)(?P<text>.*?)(?=<!-- end -->)", re.DOTALL)

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()

Array = np.ndarray


@dataclass(frozen=True)
class Scenario:
    """What is not known of a case: the correlation of seeds over images, and their spread."""

    correlation: float
    spread: float
    same_seeds: bool = True


@dataclass(frozen=True)
class Cell:
    """How often something happened in the worst scenario of a case, 0 to 1, and which that is."""

    rate: float
    worst: Scenario


@dataclass(frozen=True)
class Case:
    """One line of the simulation.

    Attributes:
        images: how many there are.
        accuracy: the truth.
        seeds: how many each network has.
        covered: how often the interval of an accuracy holds the truth.
        covered_difference: how often that of a difference does, where the second network is worse.
        false_positives: how often two networks of the same accuracy are told apart.
    """

    images: int
    accuracy: float
    seeds: int
    covered: Cell
    covered_difference: Cell
    false_positives: Cell


@cache
def _alike(accuracy: float, correlation: float) -> float:
    """How much of what decides is the image's, for outcomes that correlate so between seeds."""
    bound, variance = ndtri(accuracy), accuracy * (1 - accuracy)

    def error(alike: float) -> float:
        both = multivariate_normal.cdf([bound, bound], cov=[[1, alike], [alike, 1]])
        return (both - accuracy**2) / variance - correlation

    return brentq(error, 0, 1 - 1e-9)


@cache
def _shift(accuracy: float, deviation: float) -> float:
    """How far seeds move the bound for accuracies of this standard deviation."""
    if deviation == 0:
        return 0.0

    def error(shift: float) -> float:
        rates = ndtr(ndtri(accuracy) * math.hypot(1, shift) + shift * _NODES)
        return math.sqrt(_WEIGHTS @ (rates - _WEIGHTS @ rates) ** 2) - deviation

    return brentq(error, 1e-9, 30)


def draw(
    random: np.random.Generator,
    accuracies: tuple[float, ...],
    images: int,
    seeds: int,
    scenario: Scenario,
    count: int,
) -> Iterator[Array]:
    """Simulated hits of networks with these accuracies: `count` times bool [networks, seeds, n]."""
    truth = accuracies[0]
    alike = _alike(truth, scenario.correlation)
    shift = _shift(truth, scenario.spread * math.sqrt(truth * (1 - truth) / images))
    bounds = ndtri(np.array(accuracies)) * math.hypot(1, shift)
    networks, size = len(accuracies), max(1, 2_000_000 // (seeds * images))

    def normal(*shape: int) -> Array:
        return random.standard_normal(shape, dtype=np.float32)

    while count > 0:
        sets = min(size, count)
        count -= sets
        hard = (normal(sets, 1, 1, images) + normal(sets, networks, 1, images)) / math.sqrt(2)
        chance = normal(sets, networks, seeds, images)
        moved = bounds[:, None, None] + shift * normal(sets, networks, seeds, 1)
        yield from math.sqrt(alike) * hard + math.sqrt(1 - alike) * chance < moved


def samples(hits: Array, scenario: Scenario) -> list[Sample]:
    """A sample for each network."""
    seeds = hits.shape[1]
    apart = 0 if scenario.same_seeds else seeds
    return [
        Sample(tuple(range(apart * index, apart * index + seeds)), network)
        for index, network in enumerate(hits)
    ]


def covers(hits: Array, truth: float, scenario: Scenario) -> bool:
    (sample,) = samples(hits, scenario)
    low, high = interval(sample)
    return low <= truth <= high


def covers_difference(hits: Array, truth: float, scenario: Scenario) -> bool:
    difference = compare(*samples(hits, scenario))
    return difference.low <= (WORSE - 1) * (1 - truth) <= difference.high


def told_apart(hits: Array, truth: float, scenario: Scenario) -> bool:
    return compare(*samples(hits, scenario)).p < 0.05


def case(images: int, accuracy: float, seeds: int, screened: int, counted: int) -> Case:
    """Simulates one case."""
    random = np.random.default_rng([images, round(1000 * accuracy), seeds])
    worse = 1 - WORSE * (1 - accuracy)

    def rate(
        happens: Callable[[Array, float, Scenario], bool],
        accuracies: tuple[float, ...],
        scenario: Scenario,
        count: int,
    ) -> float:
        sets = draw(random, accuracies, images, seeds, scenario, count)
        return float(np.mean([happens(hits, accuracy, scenario) for hits in sets]))

    def worst(
        happens: Callable[[Array, float, Scenario], bool],
        accuracies: tuple[float, ...],
        choose: Callable[..., Scenario],
    ) -> Cell:
        same = (True, False) if len(accuracies) > 1 else (True,)
        scenarios = [Scenario(*numbers) for numbers in product(CORRELATIONS, SPREADS, same)]
        rates = {scenario: rate(happens, accuracies, scenario, screened) for scenario in scenarios}
        chosen = choose(rates, key=rates.__getitem__)
        return Cell(rate(happens, accuracies, chosen, counted), chosen)

    return Case(
        images,
        accuracy,
        seeds,
        covered=worst(covers, (accuracy,), min),
        covered_difference=worst(covers_difference, (accuracy, worse), min),
        false_positives=worst(told_apart, (accuracy, accuracy), max),
    )


def cases(screened: int = 500, counted: int = 4000) -> Iterator[Case]:
    """All cases, one by one."""
    for numbers in product(IMAGES, ACCURACIES, SEEDS):
        yield case(*numbers, screened, counted)


def table(done: list[Case]) -> str:
    """The cases as Markdown: a line for each test set, a figure in 100 for each number of seeds."""
    lines = [
        "| images | accuracy | interval | interval of a difference | difference where none is |",
        "|---:|---:|---|---|---|",
    ]
    for images, accuracy in product(IMAGES, ACCURACIES):
        rows = [row for row in done if (row.images, row.accuracy) == (images, accuracy)]
        figures = (
            ", ".join(f"{100 * getattr(row, name).rate:.1f}" for row in rows)
            for name in ("covered", "covered_difference", "false_positives")
        )
        lines.append(f"| {images:,} | {100 * accuracy:g} % | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def write() -> None:
    """Simulates all cases and writes their table into the page."""
    done = []
    for row in cases():
        print(row, flush=True)
        done.append(row)
    page = PRINTED.sub(lambda block: block["head"] + table(done), PAGE.read_text("utf-8"))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    write()
