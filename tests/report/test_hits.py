"""Which images runs got right, and which images belong together, as their predictions say."""

import numpy as np
import pytest
from support.outcomes import finished

from effbench.records.store import Store
from effbench.report import build
from effbench.report.select import Selection
from effbench.report.statistics import interval

# Each of 100 images four times.
GROUPS = np.repeat(np.arange(100, dtype=np.int32), 4)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def hits(wrong: int) -> np.ndarray:
    return wrong <= GROUPS


def section(store: Store):
    (only,) = build.read(store, Selection()).sections
    return only


def test_groups_are_read_where_they_are_there(store):
    finished(store, hits(10), variant="B0", groups=GROUPS)
    (row,) = section(store).rows
    assert np.array_equal(row.samples["test_accuracy"].groups, GROUPS)
    assert row.samples["val_accuracy"].groups is None
    shown = row.accuracies["test_accuracy"]
    expected = interval(row.samples["test_accuracy"])
    assert (shown.low / 100, shown.high / 100) == pytest.approx(expected)


def test_groups_make_intervals_wider_and_differences_less_sure(store, tmp_path):
    plain = Store(tmp_path / "plain")
    for variant, wrong in (("B0", 10), ("B1", 15)):
        finished(store, hits(wrong), variant=variant, groups=GROUPS)
        finished(plain, hits(wrong), variant=variant)
    grouped, ungrouped = section(store), section(plain)
    for one, other in zip(grouped.rows, ungrouped.rows, strict=True):
        wide, narrow = one.accuracies["test_accuracy"], other.accuracies["test_accuracy"]
        assert wide.high - wide.low > 1.7 * (narrow.high - narrow.low)
    assert (ungrouped.pairs[0].difference.test, ungrouped.pairs[0].verdict) == (
        "McNemar",
        "of these seeds",
    )
    assert ungrouped.pairs[0].p < 0.001
    assert (grouped.pairs[0].difference.test, grouped.pairs[0].verdict) == ("paired t", "not shown")
    assert "over groups of images]" in grouped.notes[0]
    assert "over images (Wilson)]" in ungrouped.notes[0]
    same = next(note for note in grouped.notes if note.startswith("same as"))
    assert "t over groups of images and seeds, paired" in same


def test_groups_of_another_length_are_no_groups_of_these_images(store):
    finished(store, hits(10), variant="B0", groups=GROUPS[:-1])
    finished(store, hits(10), variant="B1", groups=GROUPS)
    report = build.read(store, Selection())
    assert len(report.left_out) == 1
    assert "test_group: expected integers (400,), found int32 (399,)" in report.left_out[0]
    assert [row.spec.variant for row in report.sections[0].rows] == ["B1"]
