"""The benchmarks run, and fail when the two ways disagree; no test looks at a time."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.options import sweep_options

from effbench import cache
from effbench.bench import comparisons, work_timing, workloads
from effbench.bench.work_timing import Timing
from effbench.config.sweep_options import SweepOptions
from effbench.errors import EffbenchError
from effbench.files import write_atomically
from effbench.records.record import RunResult

pytestmark = pytest.mark.usefixtures("quick_workers")

TINY = sweep_options(
    variants="B0", weights="none", data="random", limit=24, epochs=2, image_size=32, device="cpu"
)


@pytest.fixture(scope="module")
def probed(
    tmp_path_factory,
) -> tuple[comparisons.TimingComparison, list[tuple[RunResult, float]], Path]:
    """A probe, the sweeps that it did, and the cache that was there."""
    cache, sweeps, honest = tmp_path_factory.mktemp("cache"), [], comparisons._sweep

    def kept(*arguments: object) -> tuple[RunResult, float]:
        sweeps.append(honest(*arguments))
        return sweeps[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFBENCH_CACHE", str(cache))
        patch.setattr(comparisons, "_sweep", kept)
        return comparisons.probe(TINY, lambda event: None), sweeps, cache


def test_probe_compares_two_whole_sweeps(probed) -> None:
    found, sweeps, _ = probed
    assert [result.provenance.features_computed for result, _ in sweeps] == [44, 0]
    cached, direct = found.timings
    assert cached.seconds > 0
    assert direct.seconds > 0
    assert cached.memory > 1e8
    assert f"{direct.seconds / cached.seconds:.1f} times faster" in found.findings[1]
    assert "24 training images" in found.findings[0]


def test_probe_does_not_hide_a_disagreement(probed, monkeypatch) -> None:
    (cached, direct) = probed[1]
    first = direct[0].history[0]
    worse = replace(first.validation, loss=first.validation.loss * 1.01)
    history = (replace(first, validation=worse), *direct[0].history[1:])
    tampered = iter([cached, (replace(direct[0], history=history), direct[1])])
    monkeypatch.setattr(comparisons, "_sweep", lambda *_: next(tampered))
    with pytest.raises(EffbenchError, match="must agree"):
        comparisons.probe(TINY, lambda event: None)


def test_probe_leaves_the_cache_alone(probed) -> None:
    assert list(probed[2].iterdir()) == []


def test_probe_computes_all_anew_but_downloads_nothing_twice(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))
    for folder in (cache.features(), cache.downloads()):
        write_atomically(folder / "file", b"kept")
    seen = []

    def run(*_: object) -> None:
        seen.extend([cache.directory(), cache.features().exists()])
        seen.append((cache.downloads() / "file").read_bytes())
        raise EffbenchError("enough", "seen", "stop")

    monkeypatch.setattr(comparisons.scheduler, "run", run)
    with pytest.raises(EffbenchError, match="enough"):
        comparisons._sweep(TINY, True, lambda event: None)
    assert seen[0] != tmp_path
    assert seen[1:] == [False, b"kept"]
    assert (cache.downloads() / "file").read_bytes() == b"kept"
    assert not seen[0].exists()


def test_every_variant_is_probed_by_itself(probed, monkeypatch) -> None:
    sweeps = probed[1]
    asked = []

    def sweep(options: SweepOptions, feature_cache: bool, _: object) -> tuple[RunResult, float]:
        asked.append((options.networks.variants, feature_cache))
        return sweeps[not feature_cache]

    monkeypatch.setattr(comparisons, "_sweep", sweep)
    two = replace(TINY, networks=replace(TINY.networks, variants="B1,B0"))
    comparison = comparisons.probe(two, lambda event: None)
    assert asked == [("B0", True), ("B0", False), ("B1", True), ("B1", False)]
    ways = ("cached features", "the backbone in every step")
    assert [timing.what for timing in comparison.timings] == [
        f"{name}: {way}" for name in ("B0", "B1") for way in ways
    ]
    assert len(comparison.findings) == 6


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [((), 4000), (("--data", "digits"), None), (("--data", "digits", "--limit", "30"), 30)],
)
def test_a_probe_takes_4000_images_or_all(arguments, limit, monkeypatch, run) -> None:
    asked = []

    def probe(options: SweepOptions, _: object) -> comparisons.TimingComparison:
        asked.append(options.images.limit)
        return comparisons.TimingComparison((), ())

    monkeypatch.setattr(comparisons, "probe", probe)
    assert run("bench", "probe", *arguments).code == 0
    assert asked == [limit]


def test_features_of_every_variant_are_timed_in_one_table(monkeypatch, run) -> None:
    def best(work: dict[str, tuple[object, ...]], _: int) -> tuple[Timing, ...]:
        return tuple(Timing(what, float(index + 1)) for index, what in enumerate(work))

    monkeypatch.setattr(comparisons, "best", best)
    (alone, both) = (run("bench", "features", "--variants", names).out for names in ("B0", "B0,B1"))
    assert "\nbare loop " in alone
    assert "B0: " not in alone
    assert "\nB0: bare loop " in both
    assert "\nB1: bare loop " in both
    for name in ("B0 at 224", "B1 at 240"):
        assert f"{name}, 1,024 images" in both


def test_a_regression_is_timed_beside_scikit_learns(monkeypatch, run) -> None:
    monkeypatch.setattr(workloads, "TRAIN", 300)
    monkeypatch.setattr(workloads, "WIDTH", 20)

    def here(work: dict[str, work_timing.Work], rounds: int) -> tuple[work_timing.Timing, ...]:
        assert rounds == 1
        for name, *arguments in work.values():
            assert getattr(workloads, name)(*arguments) > 0
        return tuple(map(work_timing.Timing, work, (2.0, 5.0)))

    monkeypatch.setattr(comparisons, "best", here)
    done = run("bench", "regression", "--l2", 1, "--rounds", 1)
    assert (done.code, done.err) == (0, "")
    assert "scikit-learn takes 2.5 times as long" in done.out
