"""Arithmetic on what a compiler said, played."""

import math
from dataclasses import replace

import pytest

from effbench.hardware.tpu_slices import SLICES
from effbench.tpu_plan.estimate import estimate
from effbench.tpu_plan.messages import Compiled, LoweredProgram

GIB = 2**30
V3 = SLICES["v3-8"]
LOWERED = LoweredProgram("features", "a.mlir", 32, 235, 0, "", 1)
# A tenth of a second of arithmetic, two tenths of memory.
COMPILED = Compiled(
    problem="",
    seconds=9.0,
    arguments=GIB,
    outputs=GIB // 4,
    aliased=GIB // 8,
    temporaries=2 * GIB,
    code=GIB // 8,
    flops=6.15e12,
    bytes_accessed=9e10,
    optimal_seconds=-1.0,
)


def test_peak_is_everything_but_what_is_aliased_and_what_others_hold():
    found = estimate(replace(LOWERED, held=GIB), COMPILED, None, V3)
    assert found.peak == pytest.approx(4.25 * GIB)
    assert found.fits
    assert found.compiles
    assert (found.excess, found.problem) == (0, "")


def test_without_an_estimate_of_xla_it_is_the_slower_roofline():
    found = estimate(LOWERED, COMPILED, None, V3)
    assert (found.seconds, found.source) == (pytest.approx(0.2), "bytes")
    assert found.total_seconds == pytest.approx(47)
    busy = replace(COMPILED, flops=6.15e13)
    found = estimate(LOWERED, busy, None, V3)
    assert (found.seconds, found.source) == (pytest.approx(1), "FLOPs")


@pytest.mark.parametrize(
    ("optimal", "seconds", "source"),
    [
        (0.3, 0.3, "XLA"),
        (0.1, 0.2, "bytes"),  # faster than the memory can be
        (-2.99, 0.2, "bytes"),
        (math.inf, 0.2, "bytes"),
        (math.nan, 0.2, "bytes"),
    ],
)
def test_an_estimate_of_xla_counts_where_it_can_be_true(optimal, seconds, source):
    found = estimate(LOWERED, replace(COMPILED, optimal_seconds=optimal), None, V3)
    assert (found.seconds, found.source) == (pytest.approx(seconds), source)


def test_a_loops_body_counts_once_a_turn_and_not_in_memory():
    lowered = replace(LOWERED, body="b.mlir", turns=11)
    body = Compiled("", 1.0, temporaries=GIB, flops=1e12, bytes_accessed=1e10, optimal_seconds=0.05)
    whole = replace(COMPILED, optimal_seconds=0.3)
    found = estimate(lowered, whole, body, V3)
    assert found.flops == pytest.approx(16.15e12)
    assert found.bytes_accessed == pytest.approx(19e10)
    assert (found.seconds, found.source) == (pytest.approx(0.8), "XLA")
    assert found.peak == COMPILED.peak
    unknown = estimate(lowered, whole, replace(body, optimal_seconds=-0.9), V3)
    assert unknown.source == "bytes"


def test_what_the_compiler_refuses_for_memory_says_by_how_much():
    refused = Compiled("out of memory", 3.0, temporaries=20 * GIB, available=15 * GIB)
    found = estimate(LOWERED, refused, None, V3)
    assert not found.fits
    assert not found.compiles
    assert found.excess == 5 * GIB
    assert found.problem == "needs 20.00 of 15.00 GiB, 5.00 GiB too much"


def test_what_compiles_may_still_not_fit_beside_what_is_held():
    found = estimate(replace(LOWERED, held=13 * GIB), COMPILED, None, V3)
    assert found.compiles
    assert not found.fits
    assert found.excess == pytest.approx(0.25 * GIB)
    assert found.problem == "needs 16.25 of 16.00 GiB, 0.25 GiB too much"
    assert found.seconds == 0


def test_another_refusal_says_nothing_of_memory():
    found = estimate(LOWERED, Compiled("UNIMPLEMENTED: no such op", 1.0), None, V3)
    assert found.problem == "UNIMPLEMENTED: no such op"
    assert (found.fits, found.compiles, found.excess, found.seconds) == (False, False, 0, 0)
