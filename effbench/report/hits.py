"""Which images a group of runs got right, from the predictions beside their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from effbench.errors import EffbenchError
from effbench.records.record import RunResult, Scores
from effbench.records.store import Store
from effbench.report.statistics import Sample

Array = np.ndarray


@dataclass(frozen=True)
class Metric:
    """One of the reported accuracies: a split of the data, and how many guesses are allowed."""

    name: str
    split: str
    guesses: int

    def count(self, result: RunResult) -> tuple[int, int]:
        """Images that a run got right, and all there were."""
        scores: Scores = getattr(result.reported, self.split)
        return (scores.correct if self.guesses == 1 else scores.top5_correct), scores.total


METRICS = (
    Metric("val_accuracy", "validation", 1),
    Metric("val_top5_accuracy", "validation", 5),
    Metric("test_accuracy", "test", 1),
    Metric("test_top5_accuracy", "test", 5),
)

# By name of a metric.
Samples = Mapping[str, Sample]


def read(store: Store, results: Sequence[RunResult], origin: str = "") -> Samples:
    """What runs that differ by their seed only got right; images and seeds in their order.

    Args:
        store: where their predictions are.
        results: the runs.
        origin: tells the samples from others of the same runs.

    Raises:
        EffbenchError: predictions are missing or damaged, or do not agree with the record.
    """
    ranks = [store.predictions(each, "validation_rank", "test_rank") for each in results]
    name = f"{origin}{results[0].spec.group}"
    seeds = tuple(each.spec.seed for each in results)
    return {
        metric.name: Sample(f"{name} {metric.name}", seeds, _hits(metric, results, ranks))
        for metric in METRICS
    }


def _hits(
    metric: Metric, results: Sequence[RunResult], ranks: Sequence[Mapping[str, Array]]
) -> Array:
    rows = []
    for result, arrays in zip(results, ranks, strict=True):
        hits = arrays[f"{metric.split}_rank"] < metric.guesses
        if (int(hits.sum()), len(hits)) != metric.count(result):
            raise EffbenchError(
                f"{result.spec.key}: predictions and record disagree on {metric.name}",
                f"{hits.sum()} of {len(hits)}, not {' of '.join(map(str, metric.count(result)))}",
                "run 'effbench validate'",
            )
        rows.append(hits)
    return np.stack(rows)
