"""Whether a published figure is reproduced, and when that cannot be said."""

from dataclasses import replace

import pytest
from support.imagenet import record

from effbench.report import reproduction


@pytest.mark.parametrize(
    ("percent", "answer"),
    [(78.74, "yes"), (78.4, "yes"), (79.3, "no: higher"), (78.1, "no: lower")],
)
def test_b0_was_published_with_78_7(percent, answer):
    """Of 50,000 images the interval is 0.36 points to each side."""
    found = reproduction.of(record(round(500 * percent)))
    assert found.published == 78.7
    assert found.published_top5 == 94.386
    assert found.answer == answer
    assert found.high - found.low == pytest.approx(0.72, abs=0.02)


def test_t_was_reported_at_another_size():
    assert reproduction.of(record(41_253, variant="T")).published == 82.506


@pytest.mark.parametrize(
    "changed",
    [
        lambda row: replace(row, own_protocol=False),
        lambda row: replace(row, whole=50_001),
        lambda row: replace(row, spec=replace(row.spec, data="imagenet-v2")),
        lambda row: replace(row, spec=replace(row.spec, precision="mixed_bfloat16")),
    ],
    ids=["protocol", "limited", "other images", "precision"],
)
def test_what_differs_from_what_was_published_says_nothing_of_it(changed):
    assert reproduction.of(record(39_370)).answer == "yes"
    assert reproduction.of(changed(record(39_370))).answer == ""
