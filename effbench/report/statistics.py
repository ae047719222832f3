"""How sure a figure is, and whether two differ: intervals and tests over images and seeds.

A test set is a sample of images, a few seeds are a sample of trainings, and both limit what is
known. Runs of a section see the same images, so their differences are paired. The truth is the
expected accuracy over all images and all seeds.

One seed has Wilson's interval, and two of one seed each McNemar's exact test. All else is one
construction, for a mean accuracy and for a difference of two:

1. Images are the units, not predictions: the same images are hard for every seed, so each image
   counts once, with its mean over seeds. Where images come in groups, the groups are the units, as
   in a survey by clusters (Cochran 1977, "Sampling Techniques", 9A).
2. z**2 / 2 units are added at either end: right and wrong ones to an accuracy (Agresti and Coull
   1998, "Approximate is better than 'exact'"), such that only one of the two gets right to a
   difference (Bonett and Price 2012 add 1 of each). So 20 of 20 right has a width: that interval
   holds Wilson's; and where two agree on every image, it is that of Tango 1998.
3. Seeds add the variance of their accuracies, with Student's t for their number. Each of several
   independent sources has its half-width at the same confidence; their squares add up (Howe 1974,
   "Approximate confidence limits on the mean of X + Y"; Zou and Donner 2008 call it MOVER).

A run without a seed, of a problem that has one solution, is uncertain by its images alone. So it
has Wilson's interval, against another such run McNemar's test, and adds nothing for seeds to a
difference.

The variance of seeds holds the noise of single images a second time. That errs on the safe side:
subtracting it often leaves two seeds no spread at all, and at 2,000 images and 88 % only 89 of 100
intervals hold the truth. tests/support/certainty.py simulates how often they do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
# 18 rows. Of more pairs Holm's correction leaves few, and nobody reads so many.
MOST_PAIRS = 162

# How many units are added at either end: half the square of the normal quantile.
_ADDED = NormalDist().inv_cdf(1 - ALPHA / 2) ** 2 / 2
# p-values end here; quantiles of t would not be exact much farther out.
_LEAST_P = 1e-12

Array = np.ndarray


@dataclass(frozen=True)
class Sample:
    """What the runs that differ by their seed only got right.

    Attributes:
        seeds: the seeds of the runs.
        hits: bool [seeds, images].
        groups: int [images], the group of each image, if images of a group are alike (twins, frames
            of one film); None if each image stands for itself.
        seeded: whether other seeds may get other images right; else there is one run, and no other.
    """

    seeds: tuple[int, ...]
    hits: Array
    groups: Array | None = None
    seeded: bool = True

    @cached_property
    def rates(self) -> Array:
        """The accuracy of each seed, 0 to 1: [seeds]."""
        return self.hits.mean(axis=1)

    @cached_property
    def by_image(self) -> Array:
        """The share of seeds that got each image right, 0 to 1: [images]."""
        return self.hits.mean(axis=0)

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.hits.shape[1])

    @property
    def single(self) -> bool:
        """Whether there is one seed only."""
        return len(self.seeds) == 1


@dataclass(frozen=True)
class Difference:
    """How two samples' mean accuracies differ, first minus second, as a rate from -1 to 1.

    Attributes:
        mean: the difference.
        low: lower bound of its interval at `CONFIDENCE`.
        high: upper bound of the same interval.
        p: two-sided p-value for no difference; not corrected for other pairs. It is below `ALPHA`
            just when the interval leaves 0 out.
        test: "McNemar" for images of one run each, "unpaired t" for a published count, else
            "paired t".
        of_these_seeds: whether it says nothing of other seeds, since there is one at most on
            either side.
    """

    mean: float
    low: float
    high: float
    p: float
    test: str
    of_these_seeds: bool


@dataclass(frozen=True)
class _Source:
    """Something that is known from a sample: its standard error and degrees of freedom."""

    error: float
    freedom: int


def wilson(correct: int, total: int) -> tuple[float, float]:
    """The interval of a rate for a finite number of images, at `CONFIDENCE`; 0 to 1."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(correct, total, ALPHA, "wilson")
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """The same p-values after Holm's correction for their number.

    As statsmodels' `multipletests`, whose import takes longer than to read a thousand records.
    """
    order = np.argsort(p_values)
    stepped = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return [float(p) for p in corrected]


def interval(sample: Sample) -> tuple[float, float]:
    """The interval of a sample's mean accuracy, at `CONFIDENCE`; 0 to 1."""
    if sample.single and sample.groups is None:
        return wilson(int(sample.hits.sum()), sample.images)
    center, images = _over_images(sample.by_image, (0, 1), sample.groups)
    width = _half_width([images, *_over_seeds(sample.rates)], ALPHA)
    return max(0.0, center - width), min(1.0, center + width)


def share_interval(parts: Array, sizes: Array) -> tuple[float, float]:
    """The interval of a share of images that come in groups, at `CONFIDENCE`; 0 to 1.

    Args:
        parts: how many images of each group count: [groups].
        sizes: of how many, above 0: [groups].
    """
    center, groups = _over_units(parts, sizes, (0, 1))
    width = _half_width([groups], ALPHA)
    return max(0.0, center - width), min(1.0, center + width)


def compare(first: Sample, second: Sample) -> Difference:
    """The difference between two samples of the same images: McNemar's test for one run each."""
    if first.single and second.single and first.groups is None:
        return mcnemar(first, second)
    by_image = first.by_image - second.by_image
    center, images = _over_images(by_image, (-1, 1), first.groups)
    seeds = _over_both_seeds(first, second)
    mean = first.rates.mean() - second.rates.mean()
    of_these = not seeds and (first.seeded or second.seeded)
    return _difference(mean, center, [images], seeds, "paired t", of_these)


def from_count(sample: Sample, correct: int, total: int) -> Difference:
    """The difference between a sample and a published count, whose images are not known.

    The count is of a single seed, which is taken to spread as those of the sample.
    """
    ours, images = _over_images(sample.by_image, (0, 1), sample.groups)
    theirs, other_images = _over_images(np.repeat([1, 0], [correct, total - correct]), (0, 1))
    seeds = _over_seeds(sample.rates, others=1)
    mean = sample.rates.mean() - correct / total
    # What was published came of one seed.
    return _difference(mean, ours - theirs, [images, other_images], seeds, "unpaired t", not seeds)


def mcnemar(first: Sample, second: Sample) -> Difference:
    """The exact test for one run each, with an interval that agrees with it.

    If the two are equally good, each is right on half of the images on which they disagree. What
    that share leaves open (Clopper and Pearson 1934) takes the number of these images for known,
    and has no width where there are none. So the interval reaches as far as that of several seeds
    would, if that is farther, but not to 0 where the test leaves that out.
    """
    from statsmodels.stats import contingency_tables
    from statsmodels.stats.proportion import proportion_confint

    a, b = first.hits[0], second.hits[0]
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    disagree = only_first + only_second
    center, images = _over_images(first.by_image - second.by_image, (-1, 1))
    width = _half_width([images], ALPHA)
    low, high = max(-1.0, center - width), min(1.0, center + width)
    p = 1.0
    if disagree:
        p = contingency_tables.mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue
        share = proportion_confint(only_first, disagree, ALPHA, "beta")
        least, most = ((2 * bound - 1) * disagree / len(a) for bound in share)
        low = least if least > 0 else min(low, least)
        high = most if most < 0 else max(high, most)
    mean = (only_first - only_second) / len(a)
    of_these = first.seeded or second.seeded
    return Difference(mean, float(low), float(high), float(p), "McNemar", of_these_seeds=of_these)


def _difference(
    mean: float,
    center: float,
    images: list[_Source],
    seeds: list[_Source],
    test: str,
    of_these_seeds: bool,
) -> Difference:
    sources = [*images, *seeds]
    width = _half_width(sources, ALPHA)
    low, high = max(-1.0, center - width), min(1.0, center + width)
    p = _p_value(center, sources)
    return Difference(float(mean), low, high, p, test, of_these_seeds)


def _over_images(
    by_image: Array, ends: tuple[int, int], groups: Array | None = None
) -> tuple[float, _Source]:
    """The mean over images with units added at both ends, and how sure the images make it.

    Args:
        by_image: a rate for each image: [images].
        ends: the least and the largest rate that there can be; the units that are added have these.
        groups: int [images], or None for units of one image each.
    """
    if groups is None:
        return _over_units(by_image, np.ones(len(by_image)), ends)
    _, index = np.unique(groups, return_inverse=True)
    return _over_units(np.bincount(index, by_image), np.bincount(index).astype(float), ends)


def _over_units(totals: Array, sizes: Array, ends: tuple[int, int]) -> tuple[float, _Source]:
    """The same of units that hold `sizes` images each, whose rates add up to `totals`: [units]."""
    images = float(sizes.sum())
    size = images / len(totals)  # of the units that are added
    whole = images + 2 * _ADDED * size
    center = (totals.sum() + _ADDED * size * sum(ends)) / whole
    squares = ((totals - center * sizes) ** 2).sum()
    squares += _ADDED * size**2 * sum((end - center) ** 2 for end in ends)
    return float(center), _Source(math.sqrt(squares) / whole, max(1, len(totals) - 1))


def _over_seeds(rates: Array, others: int = 0) -> list[_Source]:
    """How sure a few seeds make a mean over all, or its difference from that of `others` seeds.

    Nothing is known from one seed.
    """
    if len(rates) == 1:
        return []
    share = 1 / len(rates) + (1 / others if others else 0)
    return [_Source(float(rates.std(ddof=1)) * math.sqrt(share), len(rates) - 1)]


def _over_both_seeds(first: Sample, second: Sample) -> list[_Source]:
    """How sure the seeds make a difference.

    The same seeds on both sides are paired. How a single seed spreads is not known; it is taken to
    do so as the several on the other side. A side that has none does not spread.
    """
    if not (first.seeded and second.seeded):
        return [source for side in (first, second) for source in _over_seeds(side.rates)]
    if first.seeds == second.seeds:
        return _over_seeds(first.rates - second.rates)
    if first.single or second.single:
        return _over_seeds((second if first.single else first).rates, others=1)
    return [*_over_seeds(first.rates), *_over_seeds(second.rates)]


def _half_width(sources: Sequence[_Source], alpha: float) -> float:
    """Half the width of an interval that leaves out the truth `alpha` of the time."""
    from scipy.special import stdtrit

    return math.hypot(
        *(float(stdtrit(source.freedom, 1 - alpha / 2)) * source.error for source in sources)
    )


def _p_value(center: float, sources: Sequence[_Source]) -> float:
    """The `alpha` whose interval around `center` just reaches 0, not below `_LEAST_P`."""
    from scipy.optimize import brentq

    def beyond(log_alpha: float) -> float:
        return _half_width(sources, math.exp(log_alpha)) - abs(center)

    least = math.log(_LEAST_P)
    if beyond(least) <= 0:
        return _LEAST_P
    return math.exp(brentq(beyond, least, 0)) if center else 1.0
