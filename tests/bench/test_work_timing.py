"""Work that is timed in processes of its own, started and ended like every other child."""

import psutil
import pytest
from support import children

from effbench.bench import work_timing
from effbench.errors import EffbenchError


def test_extraction_and_the_bare_loop_are_timed() -> None:
    before = psutil.Process().children()
    timings = work_timing.best(
        {"ours": ("extraction", "B0", 32), "bare": ("bare_loop", "B0", 32, False)}, rounds=1
    )
    assert [timing.what for timing in timings] == ["ours", "bare"]
    assert all(timing.seconds > 0 and timing.memory > 1e8 for timing in timings)
    assert psutil.Process().children() == before


def test_the_fastest_of_the_rounds_counts(monkeypatch, tmp_path) -> None:
    count = tmp_path / "count"
    code = f"""
with open({str(count)!r}, "ab") as file:
    file.write(b"x")
    say([[3.0, 1.0, 2.0][file.tell() - 1], 7])
"""
    children.play(monkeypatch, code)
    assert work_timing.best({"it": ("heads", 1)}, rounds=3) == (work_timing.Timing("it", 1.0, 7),)


def test_work_that_is_killed_is_one_line(monkeypatch) -> None:
    children.play(monkeypatch, "os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(EffbenchError, match=r"five heads: ended by SIGKILL .*out of memory"):
        work_timing.best({"five heads": ("heads", 5)}, rounds=1)


def test_an_error_of_ours_comes_back_as_its_line() -> None:
    with pytest.raises(EffbenchError, match="no-such-folder"):
        work_timing.best({"it": ("decoded", "/no-such-folder", 32)}, rounds=1)
