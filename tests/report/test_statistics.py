"""Intervals hold what they promise, and tests find what is there and nothing else."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from effbench.report.statistics import (
    DRAWS,
    MOST_PAIRS,
    Bootstrap,
    Sample,
    compare,
    holm,
    mcnemar,
    wilson,
)


def sample(rate: float, seeds: int = 1, images: int = 1000, name: str = "") -> Sample:
    """Independent hits; the name chooses them."""
    random = np.random.default_rng(sum(map(ord, name)) + seeds)
    return Sample(f"{name}{rate}", tuple(range(seeds)), random.random((seeds, images)) < rate)


def test_wilson_is_the_published_interval():
    """Newcombe 1998, table 1: 81 of 263."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    low, high = wilson(10, 10)
    assert (low, high) == pytest.approx((0.7225, 1), abs=5e-5)


def test_holm_multiplies_the_smallest_by_their_number():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_many_pairs_can_still_be_told_apart_after_the_correction():
    assert MOST_PAIRS * 2 / (DRAWS + 1) < 0.05
    assert MOST_PAIRS >= 36  # all nine variants


def test_mcnemar_counts_images_on_which_the_two_disagree():
    first = np.array([1] * 60 + [0] * 40, bool)
    second = np.array([1] * 50 + [0] * 10 + [1] * 3 + [0] * 37, bool)
    found = mcnemar(Sample("a", (0,), first[None]), Sample("b", (0,), second[None]))
    assert found.mean == pytest.approx(0.07)
    expected = reference_mcnemar([[50, 10], [3, 37]], exact=True).pvalue
    assert found.p == pytest.approx(expected)
    assert found.low < found.mean < found.high
    assert found.test == "McNemar"


def test_the_interval_of_mcnemar_agrees_with_its_test():
    """It leaves 0 out just when the test is significant."""
    verdicts = set()
    for better in range(5, 30):
        hits = np.zeros((2, 100), bool)
        hits[0, :better] = hits[1, better : better + 8] = True
        found = mcnemar(*(Sample(str(n), (0,), hits[n : n + 1]) for n in range(2)))
        verdicts.add(found.p < 0.05)
        assert (found.low > 0 or found.high < 0) == (found.p < 0.05), better
    assert verdicts == {True, False}


@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_predictions_are_no_difference(seeds):
    one = sample(0.9, seeds)
    other = Sample("other", one.seeds, one.hits)
    found = compare(one, other, Bootstrap([one, other]))
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_one_seed_each_is_mcnemar_else_the_bootstrap():
    one, also, three = sample(0.9), sample(0.8), sample(0.85, 3)
    bootstrap = Bootstrap([one, also, three])
    assert compare(one, also, bootstrap).test == "McNemar"
    assert compare(one, three, bootstrap).test == "bootstrap"


def test_intervals_do_not_depend_on_what_else_is_reported():
    one, other, shorter = sample(0.9, 3), sample(0.8, 5), sample(0.7, 2, images=100)
    alone = Bootstrap([one]).interval(one)
    assert Bootstrap([other, one, shorter]).interval(one) == pytest.approx(alone, abs=1e-12)
    pair = Bootstrap([one, other]).difference(one, other)
    again = Bootstrap([shorter, other, one]).difference(one, other)
    assert again.p == pair.p
    assert (again.low, again.high) == pytest.approx((pair.low, pair.high), abs=1e-12)


def test_the_bootstrap_over_images_agrees_with_theory():
    """Seeds that all fall alike leave the images only: the binomial's standard error."""
    hits = np.repeat(sample(0.9, images=5000).hits, 3, axis=0)
    one = Sample("one", (0, 1, 2), hits)
    low, high = Bootstrap([one]).interval(one)
    assert (low, high) == pytest.approx(wilson(int(hits[0].sum()), 5000), abs=5e-4)


def test_differences_are_paired_by_image():
    """Two that fail on the same images are told apart where two that fail on others are not."""
    random = np.random.default_rng(3)
    hard = random.random(2000)
    hits = {
        "base": hard < 0.90,
        "same images": hard < 0.91,
        "other images": random.permutation(hard) < 0.91,
    }
    samples = {name: Sample(name, (0, 1), np.stack([found, found])) for name, found in hits.items()}
    bootstrap = Bootstrap(samples.values())
    p = {name: bootstrap.difference(own, samples["base"]).p for name, own in samples.items()}
    assert p["same images"] < 0.001
    assert p["other images"] > 0.1


def test_differences_are_paired_by_seed_where_the_seeds_are_the_same():
    """A seed that is bad for both says nothing about their difference."""
    rates = np.array([[0.80], [0.85], [0.90], [0.95]])
    hard = np.linspace(0, 1, 1000)
    first = Sample("first", (0, 1, 2, 3), hard < rates + 0.02)
    paired = Sample("second", (0, 1, 2, 3), hard < rates)
    alone = Sample("second", (4, 5, 6, 7), hard < rates)
    assert Bootstrap([first, paired]).difference(first, paired).p < 0.01
    assert Bootstrap([first, alone]).difference(first, alone).p > 0.3


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_cover_the_truth_as_often_as_they_say(seeds):
    """Of a network whose seeds spread twice as far as the images leave open."""
    random = np.random.default_rng(seeds)
    images, trials, covered = 200, 150, 0
    for trial in range(trials):
        rates = 0.8 + 0.04 * random.normal(size=(seeds, 1))
        own = Sample(str(trial), tuple(range(seeds)), random.random((seeds, images)) < rates)
        low, high = Bootstrap([own]).interval(own)
        covered += low <= 0.8 <= high
    assert covered / trials >= 0.92


@pytest.mark.parametrize("seeds", [3, 5])
def test_no_difference_is_found_where_there_is_none(seeds):
    random = np.random.default_rng(seeds)
    trials = 100
    found = 0
    for trial in range(trials):
        pair = [
            Sample(
                f"{trial} {name}",
                tuple(range(seeds)),
                random.random((seeds, 200)) < 0.8 + 0.03 * random.normal(size=(seeds, 1)),
            )
            for name in ("a", "b")
        ]
        found += Bootstrap(pair).difference(*pair).p < 0.05
    assert found / trials <= 0.1


def test_a_published_count_is_one_more_sample():
    own = sample(0.9, 3)
    bootstrap = Bootstrap([own])
    mean = float(own.hits.mean())
    near = bootstrap.from_count(own, round(1000 * mean), 1000)
    far = bootstrap.from_count(own, 700, 1000)
    assert near.mean == pytest.approx(0, abs=1e-3)
    assert near.p > 0.5
    assert far.mean == pytest.approx(mean - 0.7)
    assert far.p < 0.05
    assert far.test == "bootstrap, unpaired"


def test_a_single_seed_is_taken_to_spread_as_those_it_is_compared_with():
    """Else every difference from it would pass for real: 24 of 100 did where 5 may."""
    random = np.random.default_rng(7)
    found = 0
    for trial in range(100):
        rates = 0.8 + 0.03 * random.normal(size=(6, 1))
        hits = random.random((6, 200)) < rates
        one = Sample(f"{trial} one", (9,), hits[:1])
        five = Sample(f"{trial} five", (0, 1, 2, 3, 4), hits[1:])
        found += Bootstrap([one, five]).difference(one, five).p < 0.05
    assert found <= 10
