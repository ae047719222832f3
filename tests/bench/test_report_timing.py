"""The benchmark of reports: copies of runs, and reports of them in processes of their own."""

import pytest
from support.records import complete

from effbench.bench import report_timing
from effbench.errors import EffbenchError
from effbench.records.store import Store


def test_the_report_of_many_runs_is_timed(tmp_path) -> None:
    complete(Store(tmp_path))
    comparison = report_timing.report(tmp_path, 3, 1)
    assert [timing.what for timing in comparison.timings] == [
        "report of 1 runs",
        "report of 3 runs",
    ]
    assert all(timing.seconds > 0 for timing in comparison.timings)


def test_a_report_that_fails_is_one_line(tmp_path, monkeypatch) -> None:
    complete(Store(tmp_path))
    monkeypatch.setattr("effbench.subprocesses.COMMAND", ("sh", "-c", "echo no such >&2; exit 3"))
    with pytest.raises(EffbenchError, match="ended with code 3: no such"):
        report_timing.report(tmp_path, 1, 1)
