"""Finished runs on disk whose images were got right or wrong as a test says."""

import numpy as np
from support.records import result, spec

from effbench.records.record import Images, RunResult
from effbench.records.scores import SELECTIONS, Scores, Selected
from effbench.records.store import Store


def ranks(hits: np.ndarray) -> np.ndarray:
    """Top-1 where hit; else second and twelfth place by turns, so that top-5 is another figure."""
    wrong = np.where(np.arange(len(hits)) % 2, 1, 9)
    return np.where(hits, 0, wrong).astype(np.uint8)


def counts(rank: np.ndarray) -> Scores:
    return Scores(int((rank == 0).sum()), int((rank < 5).sum()), len(rank), 0.25)


def finished(
    store: Store,
    test: np.ndarray,
    seed: int = 0,
    groups: np.ndarray | None = None,
    **changes: object,
) -> RunResult:
    """Saves a run that gets the images of `test` (bool) right, and of validation the first half.

    It does so by every rule. `groups` are those of the test images.
    """
    from dataclasses import replace

    chosen = spec(seed=seed, **changes)
    rank_by_split = {"validation": ranks(test[: len(test) // 2]), "test": ranks(test)}
    arrays = {f"{split}_rank": rank for split, rank in rank_by_split.items()}
    if groups is not None:
        arrays["test_group"] = groups
    saved = store.save_predictions(chosen.key, arrays)
    plain = result(spec=chosen)
    scored = (counts(rank_by_split["validation"]), counts(rank_by_split["test"]))
    record = replace(
        plain,
        selected=tuple(Selected(rule, 2, *scored) for rule in SELECTIONS),
        images=Images(45_000, len(test) // 2, len(test), 45_000),
        predictions=saved,
    )
    store.save(record)
    return record


def group(store: Store, rates: list[float], images: int = 2000, **changes: object) -> None:
    """Saves a run for each of `rates`, its accuracy; errors of all are of the same hard images."""
    difficulty = np.random.default_rng(0).random(images)
    for seed, rate in enumerate(rates):
        noise = 0.05 * np.random.default_rng(seed + 1).normal(size=images)
        finished(store, difficulty + noise < rate, seed, **changes)
