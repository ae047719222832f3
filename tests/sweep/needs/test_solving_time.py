"""Regressions of many classes are told before they begin, with a quicker recipe."""

from dataclasses import replace

import pytest
from support.records import spec

from effbench.config.recipes import RECIPES
from effbench.sweep.groups import Group
from effbench.sweep.needs import estimates, solving_time
from effbench.sweep.needs.timed_processes import Counts
from effbench.training.regression import l2_grid

MANY = replace(spec(recipe=RECIPES["linear-probe"]), classes=10_000)
THREE_EACH = Counts(10_000, 30_000, (10_000, 10_000, 10_000))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(solving_time, "cores", lambda: 2)


def test_the_guess_is_what_was_measured():
    cifar = replace(MANY, classes=10)
    alone = replace(cifar, recipe=replace(cifar.recipe, l2_values=250))
    counts = Counts(45_000, 60_000, (45_000, 5_000, 10_000))
    assert solving_time.seconds(cifar, counts) == 0, "it takes minutes, of which records tell"
    assert solving_time.seconds(alone, counts) / 250 == pytest.approx(4.6, abs=0.1)
    assert 30 < solving_time.seconds(MANY, THREE_EACH) / 3600 < 50


def test_many_classes_are_said_to_take_long_and_what_is_quicker():
    (line,) = solving_time.remarks([MANY, MANY], THREE_EACH)
    # The grid once to train, and once for each of two folds: a class has one image to choose by.
    assert line.startswith("linear-probe solves up to 135 regressions of 10,000 classes for B0, ")
    assert line.endswith(
        " hours on 2 cores; --recipe case-study trains a head of as many classes in a small part "
        "of that"
    )
    assert not solving_time.remarks([replace(MANY, recipe=RECIPES["case-study"])], THREE_EACH)
    (folded,) = solving_time.remarks([replace(MANY, folds=3)], replace(THREE_EACH, train=30_000))
    assert " 405 regressions" in folded


def test_an_estimate_counts_what_nobody_measured_where_it_takes_long():
    group = Group((MANY,))
    assert estimates.work(group, THREE_EACH) > 1e15
    unknown = estimates.Estimator(()).of(group, THREE_EACH, computed=True)
    assert unknown.seconds == solving_time.seconds(MANY, THREE_EACH)
    assert unknown.basis.endswith(estimates.BY_SIZE)


def test_it_knows_when_folds_choose():
    assert (solving_time._ENOUGH, solving_time._FOLDS) == (l2_grid.ENOUGH, l2_grid.FOLDS)
