"""Measurements of speed and memory, each a ratio within one run: machines differ and vary."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from effbench import cache
from effbench.bench.work_timing import Timing, best
from effbench.config import variants
from effbench.config.sweep_options import SweepOptions
from effbench.config.variants import Variant
from effbench.errors import EffbenchError
from effbench.hardware import machine
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.sweep import scheduler
from effbench.sweep.events import Listen
from effbench.sweep.resolve import resolve


@dataclass(frozen=True)
class TimingComparison:
    """Timings of one run, and what follows from them: lines like "ratio 16.2 (at least 15)"."""

    timings: tuple[Timing, ...]
    findings: tuple[str, ...]


# How far the losses of the two ways may be apart: they add up the same numbers in another order.
LOSS_TOLERANCE = 1e-3


def probe(options: SweepOptions, listen: Listen) -> TimingComparison:
    """The case study's own way (the backbone in every step) against cached features.

    Both are whole sweeps, one after the other, in empty folders: process, TensorFlow, compilation,
    scoring and, of photos, decoding are included. Each variant is measured by itself.

    Raises:
        EffbenchError: a run failed, or the two ways disagree.
    """
    measured = {}
    for variant in variants.select(options.networks.variants):
        networks = replace(options.networks, variants=variant.name)
        measured[variant.name] = _probe(replace(options, networks=networks), listen)
    return _one_table(measured)


def _probe(options: SweepOptions, listen: Listen) -> TimingComparison:
    cached, cached_time = _sweep(options, True, listen)
    direct, direct_time = _sweep(options, False, listen)
    losses = [
        np.array([[row.train.loss, row.validation.loss] for row in result.history])
        for result in (cached, direct)
    ]
    apart = float(np.abs(losses[0] - losses[1]).max() / np.abs(losses[1]).max())
    scores = [result.reported for result in (cached, direct)]
    judged = "test" if scores[0].test else "validation"
    agree = f"largest difference of a loss {apart:.1e} of the largest loss"
    hits = [row.judged.correct for row in scores]
    same = f"{judged} images right: {hits[0]} cached, {hits[1]} direct"
    if apart > LOSS_TOLERANCE:
        raise EffbenchError("the two ways must agree", f"{agree}; {same}", "report this as a bug")
    spec = cached.spec
    return TimingComparison(
        (
            Timing("cached features", cached_time, cached.provenance.peak_memory),
            Timing("the backbone in every step", direct_time, direct.provenance.peak_memory),
        ),
        (
            f"{spec.variant} at {spec.image_size}, {cached.images.train:,} training images, "
            f"{spec.recipe.epochs} epochs, data: {spec.data}, {cached.provenance.device_name}",
            f"cached features are {direct_time / cached_time:.1f} times faster",
            f"{agree}; {same}",
        ),
    )


def _sweep(options: SweepOptions, feature_cache: bool, listen: Listen) -> tuple[RunResult, float]:
    """One sweep with nothing computed before, and its seconds; downloads are not repeated."""
    options = replace(options, execution=replace(options.execution, feature_cache=feature_cache))
    with empty_cache() as folder:
        started = time.perf_counter()
        store = Store(folder)
        scheduler.run(resolve(options), store, listen)
        seconds = time.perf_counter() - started
        records = store.load()
    if records.failures:
        raise EffbenchError("a run failed", records.failures[0].message, "mend that first")
    return records.results[0], seconds


@contextmanager
def empty_cache() -> Iterator[Path]:
    """Gives this process, and those that it starts, a cache of their own for a while: a folder.

    It has the downloads of the other, and nothing that was computed.
    """
    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        if cache.downloads().is_dir():
            Path(folder, cache.downloads().name).symlink_to(cache.downloads().resolve())
        before = os.environ.get("EFFBENCH_CACHE")
        os.environ["EFFBENCH_CACHE"] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ["EFFBENCH_CACHE"]
            if before is not None:
                os.environ["EFFBENCH_CACHE"] = before


def heads(rounds: int) -> TimingComparison:
    """One head and five on 45,000 random features, and Keras's `fit` of one on the same.

    Args:
        rounds: how often each is timed; the fastest counts.
    """
    timings = best(
        {
            "one head": ("heads", 1),
            "five heads": ("heads", 5),
            "one head, plain Keras fit": ("keras_fit",),
        },
        rounds,
    )
    one, five, fit = (timing.seconds for timing in timings)
    return TimingComparison(
        timings,
        (
            f"25 epochs, 45,000 x 1280 features, {machine.cpu_name()}",
            f"five heads take {five / one:.2f} times as long as one",
            f"Keras takes {fit / one:.2f} times as long for one",
        ),
    )


def regression(l2: float, rounds: int) -> TimingComparison:
    """The regression of a linear probe for one L2, by us and by scikit-learn.

    Args:
        l2: as in a recipe.
        rounds: how often each is timed; the fastest counts.
    """
    timings = best(
        {
            "effbench": ("regression", str(l2), "effbench"),
            "scikit-learn": ("regression", str(l2), "scikit-learn"),
        },
        rounds,
    )
    ours, theirs = (timing.seconds for timing in timings)
    return TimingComparison(
        timings,
        (
            f"L2 {l2:g}, 45,000 x 1280 features, {machine.cpu_name()}",
            f"scikit-learn takes {theirs / ours:.1f} times as long, to its own default end",
        ),
    )


def features(rows: Sequence[Variant], images: int, rounds: int) -> TimingComparison:
    """Extraction into the cache against a bare `model(x, training=False)` over the same batches.

    Args:
        rows: variants, each measured by itself.
        images: how many each loop takes.
        rounds: how often each is timed; the fastest counts.
    """
    return _one_table({variant.name: _features(variant, images, rounds) for variant in rows})


def _features(variant: Variant, images: int, rounds: int) -> TimingComparison:
    timings = best(
        {
            "effbench, compilation and cache included": ("extraction", variant.name, images),
            "bare loop": ("bare_loop", variant.name, images, False),
            "bare loop in a tf.function, compilation included": (
                "bare_loop",
                variant.name,
                images,
                True,
            ),
        },
        rounds,
    )
    extraction, eager, compiled = (timing.seconds for timing in timings)
    return TimingComparison(
        timings,
        (
            f"{variant.name} at {variant.image_size}, {images:,} images, {machine.cpu_name()}",
            f"effbench: {images / extraction:.1f} images/s",
            f"{eager / extraction:.2f} times as fast as the bare loop, "
            f"{compiled / extraction:.2f} times as fast as that in a tf.function",
        ),
    )


def _one_table(comparisons: dict[str, TimingComparison]) -> TimingComparison:
    """The comparisons of several variants, by name; the findings of each begin with its name."""
    if len(comparisons) == 1:
        return next(iter(comparisons.values()))
    return TimingComparison(
        tuple(
            replace(timing, what=f"{name}: {timing.what}")
            for name, comparison in comparisons.items()
            for timing in comparison.timings
        ),
        tuple(line for comparison in comparisons.values() for line in comparison.findings),
    )
