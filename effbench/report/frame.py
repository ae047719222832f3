"""Records as a tidy frame: one row for the runs that differ by their seed only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby

import pandas as pd

from effbench import reference
from effbench.runs import RunResult
from effbench.variants import VARIANTS

_ORDER = {name: place for place, name in enumerate(VARIANTS)}


@dataclass(frozen=True)
class Row:
    """Runs that differ by their seed only.

    Accuracies are percentages of the epoch that the recipe selects; `_std` is the sample standard
    deviation over seeds, None for one seed. `marks` are separated by ", ", `details` say more of
    each in the same order.
    """

    variant: str
    image_size: int
    val_accuracy_mean: float
    val_accuracy_std: float | None
    val_top5_accuracy_mean: float
    val_top5_accuracy_std: float | None
    test_accuracy_mean: float
    test_accuracy_std: float | None
    test_top5_accuracy_mean: float
    test_top5_accuracy_std: float | None
    weights: str
    published_test_accuracy: float | None
    data: str
    recipe: str
    seeds: int
    epochs: int
    train_images: int
    train_images_available: int
    test_images: int
    precision: str
    preprocessing: str
    device: str
    weights_file: str
    weights_sha256: str
    marks: str
    details: str
    group: str


def tidy(results: Iterable[RunResult]) -> pd.DataFrame:
    """A frame of `Row`s, in the order of data, recipe and variant."""
    groups = groupby(sorted(results, key=_order), key=lambda result: result.spec.group)
    rows = [asdict(_row(list(group))) for _, group in groups]
    return pd.DataFrame(rows, columns=[field.name for field in fields(Row)])


def _order(result: RunResult) -> tuple[object, ...]:
    spec = result.spec
    return (spec.data, spec.recipe.name, _ORDER[spec.variant], spec.group, spec.seed)


def _row(results: Sequence[RunResult]) -> Row:
    first = results[0]
    spec, made = first.spec, first.provenance
    reported = [result.reported for result in results]
    validation = [each.validation for each in reported]
    test = [each.test for each in reported]
    statistics = (
        *_statistics([scores.accuracy for scores in validation]),
        *_statistics([scores.top5_accuracy for scores in validation]),
        *_statistics([scores.accuracy for scores in test]),
        *_statistics([scores.top5_accuracy for scores in test]),
    )
    return Row(
        spec.variant,
        spec.image_size,
        *statistics,
        weights=spec.weights.name,
        published_test_accuracy=_published(first),
        data=spec.data,
        recipe=spec.recipe.name,
        seeds=len(results),
        epochs=spec.recipe.epochs,
        train_images=first.images.train,
        train_images_available=first.images.train_available,
        test_images=first.images.test,
        precision=spec.precision,
        preprocessing=spec.preprocessing,
        device=made.device_name,
        weights_file=made.weights_file,
        weights_sha256=made.weights_sha256,
        marks=", ".join(spec.marks),
        details=", ".join(f"{m} ({d})" if d else m for m, d in spec.marks.items()),
        group=spec.group,
    )


def _statistics(rates: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation, in percent."""
    percent = 100 * pd.Series(rates)
    return float(percent.mean()), float(percent.std()) if len(rates) > 1 else None


def _published(result: RunResult) -> float | None:
    """The case study's test accuracy for the same network, size and weights, on its data."""
    spec = result.spec
    if spec.data != reference.CASE_STUDY_DATA:
        return None
    key = (spec.variant, spec.image_size, spec.weights.name)
    return reference.case_study_test_accuracy().get(key)
