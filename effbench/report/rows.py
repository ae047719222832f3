"""Turns records into rows: one row for the runs that differ by their seed only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.records.caveats import SEARCHED, details
from effbench.records.l2_search import L2Search
from effbench.records.record import RunResult
from effbench.records.scores import SELECTIONS
from effbench.records.store import Store
from effbench.report import cost, per_class, published
from effbench.report.cost import Cost
from effbench.report.hits import METRICS, Metric, Samples, judging, metrics
from effbench.report.per_class import PerClass
from effbench.report.statistics import interval, wilson
from effbench.report.tries import Tries

if TYPE_CHECKING:
    import pandas as pd

_ORDER = {name: index for index, name in enumerate(VARIANTS)}


@dataclass(frozen=True)
class Accuracy:
    """One accuracy of a row, percent, of the epoch that its rule selects.

    Attributes:
        mean: the mean over seeds.
        std: sample standard deviation over seeds; None for one.
        low: lower bound of the interval at `statistics.CONFIDENCE`: over images and seeds, Wilson's
            for one seed; None for several without predictions.
        high: upper bound of the same interval.
        published: the case study's figure for the same network, size, weights and data; or None.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    published: float | None

    @property
    def difference(self) -> float | None:
        """Ours minus the published one, percentage points."""
        return None if self.published is None else self.mean - self.published

    @property
    def within(self) -> bool | None:
        """Whether the published figure lies within our interval."""
        if self.published is None or self.low is None or self.high is None:
            return None
        return self.low <= self.published <= self.high


@dataclass(frozen=True)
class Row:
    """Runs that differ by their seed only.

    Attributes:
        results: the runs in the order of their seeds.
        samples: which images they got right, by metric name; None without predictions.
        accuracies: the accuracies by metric name; only those that all runs have.
        cost: what all seeds took together.
        price: dollars an hour, or None.
        letters: rows of a section that share one cannot be told apart; "" where not compared.
        pareto: columns of costs by which no row of the section is as good and cheaper.
        store: where its predictions are; None where nobody asks for them.
        tries: the values that were tried, of which it has the best; None where it is one of its
            kind.
        imagenet_top1: of its release, percent, as `effbench imagenet` measured it into the same
            results; None where it did not.
    """

    results: tuple[RunResult, ...]
    samples: Samples | None
    accuracies: dict[str, Accuracy]
    cost: Cost
    price: float | None = None
    letters: str = ""
    pareto: tuple[str, ...] = ()
    store: Store | None = None
    tries: Tries | None = None
    imagenet_top1: float | None = None

    @property
    def spec(self) -> RunSpec:
        """The specification of its first seed."""
        return self.results[0].spec

    @cached_property
    def metric(self) -> Metric:
        """The accuracy by which it is told apart from other rows."""
        return judging(self.results)

    @property
    def accuracy(self) -> Accuracy:
        """That accuracy."""
        return self.accuracies[self.metric.name]

    @cached_property
    def group(self) -> str:
        """The name of the row: the runs' key without the seed."""
        return self.spec.group

    @cached_property
    def marks(self) -> dict[str, str]:
        """The marks of any of its runs, and that of a search."""
        marks = {mark: much for result in self.results for mark, much in result.marks.items()}
        return marks | ({SEARCHED: str(self.tries)} if self.tries else {})

    @cached_property
    def per_class(self) -> PerClass | None:
        """How well each class is known; None without predictions. They are read for it."""
        return per_class.read(self.store, self.results) if self.store else None

    @property
    def seeded(self) -> bool:
        """Whether its figures depend on a seed."""
        return self.spec.recipe.way.seeded

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs; none where nothing depends on one."""
        return [result.spec.seed for result in self.results] if self.seeded else []

    @property
    def one_seed(self) -> bool:
        """Whether other seeds may give other figures, and nothing tells how far."""
        return len(self.seeds) == 1

    @property
    def rule(self) -> str:
        """The rule of `scores.SELECTIONS` that chose the epochs, or the L2."""
        return self.results[0].rule

    @property
    def has_predictions(self) -> bool:
        """Whether all its runs have kept the predictions of what was chosen."""
        return all(result.has_predictions for result in self.results)

    @property
    def reported_epochs(self) -> list[int]:
        """The epochs that the rule chose, for any seed; none where there are no epochs."""
        return sorted({result.reported.epoch for result in self.results} - {0})

    @property
    def l2_search(self) -> L2Search | None:
        """How L2 was chosen, where it was."""
        return self.results[0].l2_search

    def by(self, rule: str) -> float | None:
        """The mean of `accuracy`, had another rule chosen the epochs; None if it is not known."""
        rates = [
            100 * selected.judged.accuracy
            for result in self.results
            for selected in result.selected
            if selected.rule == rule
        ]
        return fmean(rates) if len(rates) == len(self.results) else None

    @property
    def limited(self) -> str:
        """What keeps the row from being a full run: fewer images or epochs; "" for nothing."""
        return self.marks.get("limited", "")

    @cached_property
    def columns(self) -> dict[str, object]:
        """Every figure by the name of its column, for frames, CSV and JSON."""
        return self.flat | {name: getattr(self.per_class, name, None) for name in OVER_CLASSES}

    @cached_property
    def flat(self) -> dict[str, object]:
        """The figures for which no predictions have to be read, which takes as long as the rest."""
        first = self.results[0]
        spec, made = first.spec, first.provenance
        figures = {
            "variant": spec.variant,
            "image_size": spec.image_size,
            **{
                f"{metric.name}_{part}": getattr(self.accuracies.get(metric.name), part, None)
                for metric in METRICS
                for part in ("mean", "std", "low", "high")
            },
            "weights": spec.weights.name,
            **{
                f"published_{metric.name}{suffix}": getattr(
                    self.accuracies.get(metric.name), part, None
                )
                for metric in METRICS
                for suffix, part in _PUBLISHED.items()
            },
            "data": spec.data,
            "data_sha256": spec.data_sha256,
            "recipe": spec.recipe.name,
            "limited": self.limited,
            "seeds": len(self.seeds),
            "searched": ", ".join(self.tries.numbers) if self.tries else "",
            "tried": len(self.tries.tries) if self.tries else None,
            "epochs": spec.recipe.epochs,
            "selection": self.rule,
            "reported_epochs": ", ".join(map(str, self.reported_epochs)),
            "l2": self.l2_search.chosen.l2 if self.l2_search else None,
            "l2_folds": self.l2_search.folds if self.l2_search else None,
            **{
                f"test_accuracy_by_{rule}": self.by(rule) if self.metric.split == "test" else None
                for rule in SELECTIONS
            },
            "folds": spec.folds,
            "classes": spec.classes,
            "train_images": first.images.train,
            "train_images_available": first.images.train_available,
            "validation_images": first.images.validation,
            "test_images": first.images.test,
            "precision": spec.precision,
            "preprocessing": spec.preprocessing,
            **vars(self.cost),
            "dollars": None if self.price is None else self.cost.hours * self.price,
            "weights_file": made.weights_file,
            "weights_sha256": made.weights_sha256,
            "marks": ", ".join(self.marks),
            "details": details(self.marks),
            "letters": self.letters,
            "pareto": ", ".join(self.pareto),
            "group": self.group,
        }
        numbers = spec.recipe.numbers.items()
        return figures | {name: number for name, number in numbers if name not in figures}


# Figures that are means over classes, see `per_class.PerClass`.
OVER_CLASSES = ("balanced_accuracy", "macro_f1", "roc_auc", "average_precision")
_PUBLISHED = {"": "published", "_difference": "difference", "_within": "within"}


def grouped(results: Iterable[RunResult]) -> list[tuple[RunResult, ...]]:
    """Runs that differ by their seed only, in the order of data, recipe, variant and size."""
    groups: dict[str, list[RunResult]] = {}
    for result in results:
        groups.setdefault(result.spec.group, []).append(result)
    tables = {
        name: sorted(group, key=lambda result: result.spec.seed) for name, group in groups.items()
    }
    order = sorted(
        tables,
        key=lambda name: (*_order(tables[name][0].spec), details(tables[name][0].marks), name),
    )
    return [tuple(tables[name]) for name in order]


def row_of(
    results: tuple[RunResult, ...],
    samples: Samples | None = None,
    price: float | None = None,
) -> Row:
    """The row of one group.

    Args:
        results: the runs in the order of their seeds.
        samples: which images they got right, by metric name.
        price: dollars an hour.
    """
    bare = Row(results, samples, {}, cost.of(results), price)
    accuracies = {metric.name: _accuracy(metric, bare) for metric in metrics(results)}
    return replace(bare, accuracies=accuracies)


def tidy(rows: Sequence[Row]) -> pd.DataFrame:
    """A frame of `Row.columns`, one line for each row, in the same order."""
    import pandas as pd

    return pd.DataFrame([row.columns for row in rows])


def _order(spec: RunSpec) -> tuple[object, ...]:
    return (spec.data, spec.recipe.name, _ORDER[spec.variant], spec.image_size)


def _accuracy(metric: Metric, row: Row) -> Accuracy:
    counts = [metric.count(result) for result in row.results]
    percent = [100 * correct / total for correct, total in counts]
    std = stdev(percent) if len(percent) > 1 else None
    bounds = None
    if row.samples is not None:
        bounds = interval(row.samples[metric.name])
    elif len(counts) == 1:
        bounds = wilson(*counts[0])
    low, high = (None, None) if bounds is None else (100 * bound for bound in bounds)
    return Accuracy(fmean(percent), std, low, high, _published(metric, row.results[0]))


def _published(metric: Metric, result: RunResult) -> float | None:
    """The case study's figure for a full run of the same network, size and weights."""
    spec = result.spec
    known = spec.data == published.CASE_STUDY_DATA and "limited" not in result.marks
    known = known and not spec.folds and result.rule == published.CASE_STUDY_RULE
    if not known or spec.recipe.name not in published.CASE_STUDY.recipes:
        return None
    case = published.case_study().get((spec.variant, spec.image_size, spec.weights.name))
    return getattr(case, metric.name, None)
