"""The benchmark of photos: what it writes, what it times, and what it says."""

from pathlib import Path

import pytest
from support.commandline import one_line

from effbench.bench import photo_timing
from effbench.bench.work_timing import Timing
from effbench.data import datasets


@pytest.fixture
def asked(monkeypatch) -> list[tuple]:
    """The work that would be timed, each in a second."""
    asked = []

    def best(work: dict[str, tuple], rounds: int) -> tuple[Timing, ...]:
        asked.extend(work.values())
        assert rounds == 1
        assert len(list(Path(asked[-1][1]).glob("*/*.jpg"))) in (20, 30)
        return tuple(Timing(what, 1.0, 10**9) for what in work)

    monkeypatch.setattr(photo_timing, "best", best)
    return asked


def test_each_folder_is_decoded_fed_and_trained_on(asked):
    comparison = photo_timing.photos([20, 30], 64, 8, 4)
    assert [work[0] for work in asked] == ["decoded", "fed", "trained"] * 2
    assert len({work[1] for work in asked}) == 2
    assert not any(Path(work[1]).exists() for work in asked)
    assert [timing.what.split(":")[0] for timing in comparison.timings] == (
        ["20 photos"] * 3 + ["30 photos"] * 3
    )
    # 500 batches of 8 images in a second, against 4 steps.
    assert comparison.findings[1] == (
        "20 photos: 20 images/s are decoded; 4,000 images/s can be fed, 125 times as many as steps "
        "of 8 take"
    )


def test_what_it_writes_is_a_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    photo_timing.write(tmp_path / "photos", 100)
    dataset = datasets.load("photos", tmp_path / "photos")
    assert len(dataset.classes) == photo_timing.CLASSES
    assert sum(len(split.labels) for split in dataset.splits) == 100


def test_bad_counts_are_one_line(run):
    done = run("bench", "photos", "--images", "60")
    one_line(done, 2, "whole numbers from 1000 to 1000000: 60; write e.g. 1000,5000")
