"""Which images a group of runs got right, from the predictions beside their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from effbench.records.integrity import Ranks
from effbench.records.record import RunResult, Scores
from effbench.report.statistics import Sample


@dataclass(frozen=True)
class Metric:
    """One of the reported accuracies: a split of the data, and how many guesses are allowed."""

    name: str
    split: str
    guesses: int

    def count(self, result: RunResult) -> tuple[int, int]:
        """How many images a run got right, and how many there were."""
        scores: Scores = getattr(result.reported, self.split)
        return (scores.correct if self.guesses == 1 else scores.top5_correct), scores.total


METRICS = (
    Metric("val_accuracy", "validation", 1),
    Metric("val_top5_accuracy", "validation", 5),
    Metric("test_accuracy", "test", 1),
    Metric("test_top5_accuracy", "test", 5),
)

# Samples by metric name.
Samples = Mapping[str, Sample]


def samples(results: Sequence[RunResult], ranks: Sequence[Ranks]) -> Samples:
    """What runs that differ by their seed only got right; images and seeds in their order.

    Args:
        results: the runs.
        ranks: the arrays of each run.
    """
    seeds = tuple(result.spec.seed for result in results)
    return {
        metric.name: Sample(
            seeds,
            np.stack([arrays[f"{metric.split}_rank"] < metric.guesses for arrays in ranks]),
            ranks[0].get(f"{metric.split}_group"),
        )
        for metric in METRICS
    }
