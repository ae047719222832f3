"""The benchmarks run, and fail when the two ways disagree; no test looks at a time."""

from dataclasses import replace
from pathlib import Path

import pytest

from effbench import bench
from effbench.errors import EffbenchError
from effbench.request import Options
from effbench.runs import RunResult

TINY = Options(
    variants="B0", weights="none", data="random", limit=24, epochs=2, image_size=32, device="cpu"
)


def test_probe_compares_two_whole_sweeps() -> None:
    found = bench.probe(TINY, lambda event: None)
    cached, direct = found.timings
    assert cached.seconds > 0
    assert direct.seconds > 0
    assert cached.memory > 1e8
    assert f"{direct.seconds / cached.seconds:.1f} times faster" in found.findings[1]
    assert "24 training images" in found.findings[0]


def test_probe_does_not_hide_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = bench._sweep

    def tampered(options: Options, listen: object) -> tuple[RunResult, float]:
        result, seconds = honest(replace(options, feature_cache=True), listen)
        if not options.feature_cache:
            first = result.history[0]
            worse = replace(first.validation, loss=first.validation.loss * 1.01)
            history = (replace(first, validation=worse), *result.history[1:])
            result = replace(result, history=history)
        return result, seconds

    monkeypatch.setattr(bench, "_sweep", tampered)
    with pytest.raises(EffbenchError, match="must agree"):
        bench.probe(TINY, lambda event: None)


def test_probe_leaves_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))
    bench._sweep(TINY, lambda event: None)
    assert list(tmp_path.iterdir()) == []


def test_extraction_and_the_bare_loop_are_timed() -> None:
    timings = bench._best(
        {"ours": ("extraction", "B0", 32), "bare": ("bare_loop", "B0", 32, False)}, rounds=1
    )
    assert [timing.what for timing in timings] == ["ours", "bare"]
    assert all(timing.seconds > 0 and timing.memory > 1e8 for timing in timings)
