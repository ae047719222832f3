"""Records as a tidy frame: one row for the runs that differ by their seed only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import pandas as pd

from effbench import reference
from effbench.runs import RunResult
from effbench.variants import VARIANTS

_ORDER = {name: place for place, name in enumerate(VARIANTS)}


def tidy(results: Iterable[RunResult]) -> pd.DataFrame:
    """One row a group of seeds, in the order of data, recipe and variant.

    Accuracies are percentages of the epoch that the recipe selects: `<name>_mean`, and
    `<name>_std`, the sample standard deviation over seeds (missing for one seed).
    """
    rows = sorted(results, key=_order)
    return pd.DataFrame(
        [_row(list(group)) for _, group in groupby(rows, key=lambda result: result.spec.group)]
    )


def _order(result: RunResult) -> tuple[object, ...]:
    spec = result.spec
    return (spec.data, spec.recipe.name, _ORDER[spec.variant], spec.group, spec.seed)


def _row(results: Sequence[RunResult]) -> dict[str, object]:
    first = results[0]
    spec = first.spec
    reported = [result.reported for result in results]
    scores = {
        "val_accuracy": [each.validation.accuracy for each in reported],
        "val_top5_accuracy": [each.validation.top5_accuracy for each in reported],
        "test_accuracy": [each.test.accuracy for each in reported],
        "test_top5_accuracy": [each.test.top5_accuracy for each in reported],
    }
    statistics = {
        f"{name}_{statistic}": 100 * getattr(pd.Series(values), statistic)()
        for name, values in scores.items()
        for statistic in ("mean", "std")
    }
    return {
        "variant": spec.variant,
        "image_size": spec.image_size,
        **statistics,
        "weights": spec.weights.name,
        "published_test_accuracy": _published(first),
        "data": spec.data,
        "recipe": spec.recipe.name,
        "seeds": len(results),
        "epochs": spec.recipe.epochs,
        "train_images": first.images.train,
        "train_images_available": first.images.train_available,
        "test_images": first.images.test,
        "precision": spec.precision,
        "device": first.provenance.device_name,
        "weights_file": first.provenance.weights_file,
        "weights_sha256": first.provenance.weights_sha256,
        "marks": ", ".join(spec.marks),
        "group": spec.group,
    }


def _published(result: RunResult) -> float | None:
    """The case study's test accuracy for the same network, size and weights, on its data."""
    spec = result.spec
    if spec.data != reference.CASE_STUDY_DATA:
        return None
    key = (spec.variant, spec.image_size, spec.weights.name)
    return reference.case_study_test_accuracy().get(key)
