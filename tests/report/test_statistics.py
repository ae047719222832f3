"""Intervals hold what they promise, and tests find what is there and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from support.certainty import (
    ACCURACIES,
    IMAGES,
    PAGE,
    PRINTED,
    SEEDS,
    Scenario,
    cases,
    covers,
    draw,
    table,
    told_apart,
)

from effbench.report.statistics import (
    MOST_PAIRS,
    Difference,
    Sample,
    compare,
    from_count,
    holm,
    interval,
    mcnemar,
    wilson,
)

THREE = (0, 1, 2)


def sample(rate: float, seeds: int = 1, images: int = 1000, stream: int = 0) -> Sample:
    """Independent hits; the stream chooses them."""
    random = np.random.default_rng([stream, seeds])
    return Sample(tuple(range(seeds)), random.random((seeds, images)) < rate)


def one_seed(right: list[int] | np.ndarray) -> Sample:
    return Sample((0,), np.array(right, bool)[None])


def alike(right: list[int] | np.ndarray, seeds: tuple[int, ...] = THREE) -> Sample:
    """Seeds that all get the same images right."""
    return Sample(seeds, np.repeat(np.array(right, bool)[None], len(seeds), axis=0))


def agrees(difference: Difference) -> bool:
    """Whether the interval leaves out 0 just when the p-value says so, and holds the mean."""
    apart = difference.low > 0 or difference.high < 0
    return apart == (difference.p < 0.05) and difference.low <= difference.mean <= difference.high


def test_wilson_is_the_published_interval():
    """Newcombe 1998, table 1: 81 of 263."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    low, high = wilson(10, 10)
    assert (low, high) == pytest.approx((0.7225, 1), abs=5e-5)


def test_holm_multiplies_the_smallest_by_their_number():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_holm_is_that_of_statsmodels_for_any_p_values():
    random = np.random.default_rng(0)
    for number in range(1000):
        p_values = random.random(random.integers(1, 60)) ** random.choice([1, 3, 10])
        if number % 2:  # with ties, zeros and ones among them
            p_values = p_values.round(1)
        assert holm(p_values.tolist()) == multipletests(p_values, method="holm")[1].tolist()


def test_many_pairs_can_still_be_told_apart_after_the_correction():
    assert MOST_PAIRS >= 36  # all nine variants
    better, worse = alike([1] * 1000), alike([0] * 100 + [1] * 900)
    assert compare(better, worse).p * MOST_PAIRS < 0.05


# --- one accuracy ---------------------------------------------------------------------------------


def test_one_seed_has_wilsons_interval():
    one = sample(0.9)
    assert interval(one) == wilson(int(one.hits.sum()), 1000)


@pytest.mark.parametrize("images", [20, 153, 10_000])
@pytest.mark.parametrize("right", [0, 1])
def test_all_right_and_all_wrong_have_a_width_that_holds_wilsons(images, right):
    low, high = interval(alike([right] * images))
    expected_low, expected_high = wilson(right * images, images)
    assert 0 <= low <= expected_low
    assert expected_high <= high <= 1
    assert high - low < 0.03 + 1.3 * (expected_high - expected_low)


@pytest.mark.parametrize("wrong", [0, 1, 30])
def test_seeds_that_are_all_alike_leave_the_images_only(wrong):
    """The interval of Agresti and Coull, but for Student's quantile."""
    right = [0] * wrong + [1] * (5000 - wrong)
    expected = proportion_confint(5000 - wrong, 5000, method="agresti_coull")
    assert interval(alike(right)) == pytest.approx(np.clip(expected, 0, 1), abs=2e-6)


def test_seeds_add_students_interval():
    """With so many images their part is small."""
    hits = np.ones((3, 100_000), bool)
    for row, wrong in zip(hits, (40_000, 50_000, 60_000), strict=True):
        row[:wrong] = False
    low, high = interval(Sample(THREE, hits))
    width = 4.302653 * 0.1 / np.sqrt(3)
    assert (low, high) == pytest.approx((0.5 - width, 0.5 + width), abs=1e-4)


def test_intervals_stay_between_0_and_1():
    hits = np.array([[1] * 20, [0] * 20], bool)
    assert interval(Sample((0, 1), hits)) == (0, 1)
    assert interval(Sample((0, 1), np.ones((2, 1), bool))) == (0, 1)


@pytest.mark.parametrize("side", [one_seed, alike])
def test_differences_stay_between_minus_1_and_1(side):
    found = compare(side([1] * 4), side([0] * 4))
    assert (found.mean, found.high) == (1, 1)
    assert agrees(found)


@pytest.mark.parametrize("images", [20, 153])
@pytest.mark.parametrize("accuracy", [0.88, 0.994])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_cover_the_truth_as_often_as_they_say(images, accuracy, seeds):
    """A glance at what the slow test counts: a bootstrap has 70 of 100 for the worst of these."""
    scenario = Scenario(correlation=0.8, spread=1)
    random = np.random.default_rng(seeds)
    sets = draw(random, (accuracy,), images, seeds, scenario, 200)
    assert np.mean([covers(hits, accuracy, scenario) for hits in sets]) >= 0.93


# --- two accuracies -------------------------------------------------------------------------------


def test_mcnemar_counts_images_on_which_the_two_disagree():
    first = one_seed([1] * 60 + [0] * 40)
    second = one_seed([1] * 50 + [0] * 10 + [1] * 3 + [0] * 37)
    found = mcnemar(first, second)
    assert found.mean == pytest.approx(0.07)
    expected = reference_mcnemar([[50, 10], [3, 37]], exact=True).pvalue
    assert found.p == pytest.approx(expected)
    assert found.low < found.mean < found.high
    assert (found.test, found.of_these_seeds) == ("McNemar", True)


def test_the_interval_of_mcnemar_agrees_with_its_test():
    """It leaves 0 out just when the test is significant."""
    verdicts = set()
    for worse in (0, 8):
        for better in range(worse, 30):
            hits = np.zeros((2, 100), bool)
            hits[0, :better] = hits[1, better : better + worse] = True
            found = mcnemar(one_seed(hits[0]), one_seed(hits[1]))
            verdicts.add(found.p < 0.05)
            assert agrees(found), (better, worse)
    assert verdicts == {True, False}


def test_the_interval_of_mcnemar_holds_the_truth_where_two_seldom_disagree():
    """The number of such images is chance too: the share of one side alone covers 48 of 100."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        worse = one_seed(random.random(153) < 0.99)
        found = mcnemar(one_seed([1] * 153), worse)
        covered += found.low <= 0.01 <= found.high
    assert covered >= 0.93 * 300


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("images", [20, 1000])
def test_equal_predictions_are_no_difference_and_leave_as_much_open_as_images_do(seeds, images):
    one = sample(0.9, seeds, images)
    found = compare(one, Sample(one.seeds, one.hits.copy()))
    assert (found.mean, found.p) == (0, 1)
    assert found.low == -found.high
    # Tango 1998 for no image on which two disagree; Student's quantile is a little larger.
    tango = 3.841459 / (images + 3.841459)
    assert tango <= found.high <= 1.1 * tango


def test_one_seed_each_is_mcnemar_else_seeds_count():
    one, also, three = sample(0.9), sample(0.8, stream=1), sample(0.85, 3)
    assert compare(one, also).test == "McNemar"
    assert compare(one, three).test == "paired t"
    assert not compare(one, three).of_these_seeds


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (4, 0), (9, 0), (0, 12), (30, 5), (60, 40)])
@pytest.mark.parametrize("seeds", [THREE, (7, 8)])
def test_p_and_interval_agree(lost, gained, seeds):
    first = [0] * gained + [1] * (153 - gained)
    second = [1] * gained + [0] * lost + [1] * (153 - gained - lost)
    assert agrees(compare(alike(first), alike(second, seeds)))
    assert agrees(compare(sample(0.9, 3, 153), sample(0.8, 2, 153)))


def test_a_few_images_prove_no_more_than_mcnemar_lets_them():
    """Five images that one side alone gets right are no proof (exact: p = 0.06), ten are."""
    p = {
        lost: compare(alike([1] * 153), alike([0] * lost + [1] * (153 - lost))).p
        for lost in (5, 10)
    }
    assert p[5] > 0.05 > p[10]


def test_p_is_the_same_from_either_side():
    first, second = sample(0.9, 3), sample(0.87, 2)
    there, back = compare(first, second), compare(second, first)
    assert there.p == pytest.approx(back.p)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_differences_are_paired_by_image():
    """Two that fail on the same images are told apart where two that fail on others are not."""
    random = np.random.default_rng(3)
    hard = random.random(2000)
    base = alike(hard < 0.90)
    assert compare(alike(hard < 0.91), base).p < 0.001
    assert compare(alike(random.permutation(hard) < 0.91), base).p > 0.1


def test_differences_are_paired_by_seed_where_the_seeds_are_the_same():
    """A seed that is bad for both says nothing about their difference."""
    rates = np.array([[0.80], [0.85], [0.90], [0.95]])
    hard = np.linspace(0, 1, 1000)
    first = Sample((0, 1, 2, 3), hard < rates + 0.02)
    assert compare(first, Sample((0, 1, 2, 3), hard < rates)).p < 0.01
    assert compare(first, Sample((4, 5, 6, 7), hard < rates)).p > 0.3


@pytest.mark.parametrize("same_seeds", [True, False])
@pytest.mark.parametrize("seeds", [2, 5])
def test_no_difference_is_found_where_there_is_none(seeds, same_seeds):
    scenario = Scenario(correlation=0.8, spread=1, same_seeds=same_seeds)
    random = np.random.default_rng(seeds)
    sets = draw(random, (0.88, 0.88), 153, seeds, scenario, 200)
    assert np.mean([told_apart(hits, 0.88, scenario) for hits in sets]) <= 0.07


def test_a_single_seed_is_taken_to_spread_as_those_it_is_compared_with():
    """Else every difference from it would pass for real: 24 of 100 did where 5 may."""
    random = np.random.default_rng(7)
    found = 0
    for _ in range(200):
        rates = 0.8 + 0.03 * random.normal(size=(6, 1))
        hits = random.random((6, 200)) < rates
        one, five = Sample((9,), hits[:1]), Sample((0, 1, 2, 3, 4), hits[1:])
        found += compare(one, five).p < 0.05
    assert found <= 14


def test_a_run_without_a_seed_is_uncertain_by_its_images_alone():
    solved, other = (
        replace(sample(rate, stream=stream), seeded=False) for rate, stream in ((0.9, 1), (0.8, 2))
    )
    assert interval(solved) == wilson(int(solved.hits.sum()), 1000)
    found = compare(solved, other)
    assert (found.test, found.of_these_seeds) == ("McNemar", False)
    assert compare(solved, replace(other, seeded=True)).of_these_seeds
    grouped = [replace(side, groups=np.arange(1000) // 2) for side in (solved, other)]
    assert not compare(*grouped).of_these_seeds


def test_a_run_without_a_seed_adds_nothing_for_seeds_to_several():
    several, one = sample(0.9, 3), sample(0.8, stream=2)
    by_taking_one_to_spread = compare(several, one)
    found = compare(several, replace(one, seeded=False))
    assert (found.test, found.of_these_seeds) == ("paired t", False)
    assert found.mean == by_taking_one_to_spread.mean
    assert found.high - found.low < by_taking_one_to_spread.high - by_taking_one_to_spread.low
    # Seeds that are all alike leave open what the images do, each of which is a group of its own.
    other = replace(one, seeded=False, groups=np.arange(1000))
    images = compare(replace(alike(several.hits[0]), groups=other.groups), other)
    single = Sample((0,), several.hits[:1], other.groups, seeded=False)
    assert images == compare(single, other)


def test_a_published_count_is_one_more_sample():
    three = sample(0.9, 3)
    mean = float(three.hits.mean())
    near = from_count(three, round(1000 * mean), 1000)
    far = from_count(three, 700, 1000)
    assert near.mean == pytest.approx(0, abs=1e-3)
    assert near.p > 0.5
    assert far.mean == pytest.approx(mean - 0.7)
    assert far.p < 0.05
    assert far.test == "unpaired t"
    assert agrees(near)
    assert agrees(far)
    assert from_count(sample(0.9), 900, 1000).of_these_seeds
    everything = from_count(alike([1] * 20), 10_000, 10_000)
    assert (everything.mean, everything.low < 0 < everything.high) == (0, True)


# --- groups ---------------------------------------------------------------------------------------


def twins(plain: Sample, copies: int = 4) -> Sample:
    """Every image as often as that, as a group; groups are not numbered in their order."""
    groups = 1000 - np.repeat(np.arange(plain.images), copies)
    return Sample(plain.seeds, np.repeat(plain.hits, copies, axis=1), groups)


def test_copies_of_images_say_no_more_than_the_images():
    first, second = sample(0.9, 3, 200), sample(0.8, 3, 200, stream=1)
    assert interval(twins(first)) == pytest.approx(interval(first))
    apart, grouped = compare(first, second), compare(twins(first), twins(second))
    assert grouped.p == pytest.approx(apart.p)
    assert (grouped.low, grouped.high) == pytest.approx((apart.low, apart.high))
    assert (grouped.test, grouped.of_these_seeds) == ("paired t", False)
    counted = from_count(twins(first), 700, 1000)
    assert counted.p == pytest.approx(from_count(first, 700, 1000).p)


def test_groups_of_one_image_each_are_no_groups():
    plain = sample(0.9, 3, 200)
    single = Sample(plain.seeds, plain.hits, np.arange(200))
    assert interval(single) == pytest.approx(interval(plain))


def test_one_seed_of_groups_takes_their_number_not_that_of_images():
    plain = sample(0.9, 1, 200)
    low, high = interval(twins(plain))
    assert (low, high) == pytest.approx(wilson(int(plain.hits.sum()), 200), abs=3e-3)
    other = sample(0.83, 1, 200, stream=1)
    apart, grouped = compare(plain, other), compare(twins(plain), twins(other))
    assert (grouped.test, grouped.of_these_seeds) == ("paired t", True)
    assert grouped.p == pytest.approx(apart.p, rel=0.5)
    ungrouped = compare(*(Sample((0,), twins(side).hits) for side in (plain, other)))
    assert ungrouped.p < grouped.p / 3


def test_groups_of_different_sizes_cover_the_truth():
    """Where all images of a group are right or wrong together; images alone would say too much."""
    random = np.random.default_rng(5)
    covered = {"groups": 0, "images": 0}
    for _ in range(300):
        groups = np.repeat(np.arange(60), random.integers(1, 8, 60))
        hits = (random.random((2, 60)) < 0.85)[[0, 0]][:, groups]
        for name, numbers in (("groups", groups), ("images", None)):
            low, high = interval(Sample((0, 1), hits, numbers))
            covered[name] += low <= 0.85 <= high
    assert covered["groups"] >= 0.93 * 300
    assert covered["images"] < 0.8 * 300


def test_a_single_group_says_little():
    low, high = interval(Sample((0,), np.ones((1, 50), bool), np.zeros(50, int)))
    assert (low, high) == (0, 1)


# --- the table ------------------------------------------------------------------------------------

# Of 4,000 data sets: the error that is passed by one in a hundred where 5 of 100 are true.
CHANCE = 2.33 * (0.05 * 0.95 / 4000) ** 0.5


def test_the_page_shows_every_case_and_each_holds_what_is_promised():
    (block,) = PRINTED.finditer(PAGE.read_text("utf-8"))
    rows = [line.strip("| ").split(" | ") for line in block["text"].splitlines()[2:]]
    assert [row[:2] for row in rows] == [
        [f"{images:,}", f"{100 * accuracy:g} %"] for images in IMAGES for accuracy in ACCURACIES
    ]
    for row in rows:
        covered, difference, found = (
            [float(figure) / 100 for figure in cell.split(", ")] for cell in row[2:]
        )
        assert {len(covered), len(difference), len(found)} == {len(SEEDS)}
        assert min(covered + difference) >= 0.93
        assert max(found) <= 0.05 + CHANCE


def test_wilsons_interval_of_one_seed_holds_what_the_page_says():
    low, _ = wilson(20, 20)
    _, high = wilson(19, 20)
    assert low < 0.994
    assert high < 0.994
    assert f"in {100 * 0.994**20:.0f} of 100 cases" in " ".join(PAGE.read_text("utf-8").split())


@pytest.mark.slow
def test_the_table_is_what_is_simulated():
    """Coverage without any allowance; of false positives, chance adds `CHANCE`. Ten minutes."""
    done = list(cases())
    for row in done:
        assert row.covered.rate >= 0.93, row
        assert row.covered_difference.rate >= 0.93, row
        assert row.false_positives.rate <= 0.05 + CHANCE, row
    (block,) = PRINTED.finditer(PAGE.read_text("utf-8"))
    assert block["text"] == table(done), "run 'make certainty'"
