"""Whether a published figure is reproduced, and when that cannot be said."""

from dataclasses import replace

import pytest
from support.imagenet import record

from effbench.imagenet import protocols
from effbench.report import reproduction
from effbench.report.published import IMAGENET, IMAGENET_V1, ReportedTop1


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


def test_a_figure_is_judged_at_the_size_and_by_the_protocol_that_it_was_published_with():
    """Of T that is 288 pixels by timm; 82.506 of 320 is what another tested in a way of its own."""
    timm = record(41_150, variant="T")
    assert (timm.spec.image_size, timm.spec.protocol) == (288, "timm")
    assert (reproduction.of(timm).published, reproduction.of(timm).answer) == (82.3, "yes")
    native = replace(timm, spec=replace(timm.spec, image_size=320))
    assert native.marks == {"another size": "320, not 288 pixels"}
    assert reproduction.of(native).answer == ""


def test_figures_are_those_of_the_published_tables():
    """Those by who trained the weights, not those by who tested them in another way."""
    for row in (*IMAGENET.rows, *IMAGENET_V1.rows):
        reported = row.top1 if isinstance(row, ReportedTop1) else row.reported_top1
        figure = protocols.published(row.variant, row.weights)
        assert figure is not None
        assert figure.top1 == reported
        assert figure.image_size == (288 if row.variant == "T" else row.image_size)


@pytest.mark.parametrize(
    "changed",
    [
        lambda row: replace(row, own_protocol=False),
        lambda row: replace(row, whole=50_001),
        lambda row: replace(row, spec=replace(row.spec, data="imagenet-v2")),
        lambda row: replace(row, spec=replace(row.spec, classes=200)),
        lambda row: replace(row, spec=replace(row.spec, image_size=160)),
        lambda row: replace(row, spec=replace(row.spec, precision="mixed_bfloat16")),
    ],
    ids=["protocol", "limited", "other images", "classes", "size", "precision"],
)
def test_what_differs_from_what_was_published_says_nothing_of_it(changed):
    assert reproduction.of(record(39_370)).answer == "yes"
    assert reproduction.of(changed(record(39_370))).answer == ""
