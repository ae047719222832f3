"""Kendall's tau: what it is, and how often its interval holds the truth."""

import math

import numpy as np
import pytest

from effbench.report import kendall


def test_it_is_the_share_of_pairs_in_the_same_order_less_the_others():
    tau = kendall.tau([1, 2, 3, 4, 5], [10, 20, 40, 30, 50])
    assert tau.value == pytest.approx((9 - 1) / 10)
    assert tau.low < tau.value <= tau.high
    turned = kendall.tau([1, 2, 3, 4, 5], [-10, -20, -40, -30, -50])
    assert turned.value == pytest.approx(-0.8)
    assert tau == kendall.tau([1, 2, 3, 4, 5], [1, 2, 4, 3, 5])


def test_equal_figures_have_no_order():
    assert kendall.tau([1, 2, 3, 4], [7, 7, 7, 7]) is None


@pytest.mark.parametrize(("networks", "least", "most"), [(4, -0.1, 0.1), (9, 0.7, 0.9)])
def test_perfect_order_of_few_networks_is_not_certain(networks, least, most):
    tau = kendall.tau(range(networks), range(networks))
    assert (tau.value, tau.high) == (1, 1)
    assert least <= tau.low <= most


@pytest.mark.parametrize("networks", [4, 9])
@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.999])
def test_intervals_hold_the_truth(networks, correlation, monkeypatch):
    """Populations with normal figures, whose tau is known (Kruskal 1958)."""
    monkeypatch.setattr(kendall, "RESAMPLES", 1000)
    truth = 2 / math.pi * math.asin(correlation)
    random = np.random.default_rng(networks)
    held = 0
    for _ in range(100):
        first, noise = random.normal(size=(2, networks))
        second = correlation * first + math.sqrt(1 - correlation**2) * noise
        tau = kendall.tau(first, second)
        held += tau.low <= truth <= tau.high
    assert held >= 94
