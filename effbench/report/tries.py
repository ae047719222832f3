"""Runs of one search: the best on the validation images is shown, and how many were tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from effbench.config.run_spec import RunSpec
from effbench.config.searches import Search, in_order
from effbench.records.record import RunResult
from effbench.report import cost


@dataclass(frozen=True)
class Try:
    """A choice of values, and what came of it.

    Attributes:
        spec: the first of its runs.
        values: of the numbers that were searched.
        seeds: how many runs have finished.
        accuracy: mean validation accuracy, percent; None where every run has failed.
        hours: what they took.
    """

    spec: RunSpec
    values: tuple[object, ...]
    seeds: int
    accuracy: float | None
    hours: float


@dataclass(frozen=True)
class Tries:
    """All that was tried, and which is the best by validation accuracy.

    Attributes:
        numbers: fields of `Recipe` in which they differ.
        tries: the smallest values first; of words the recipe's own one, then in the order in which
            they first ran, which is that of the command line.
        chosen: the best of them; of equals the first.
    """

    numbers: tuple[str, ...]
    tries: tuple[Try, ...]
    chosen: Try

    @property
    def hours(self) -> float:
        """What the finished runs of all values took."""
        return sum(row.hours for row in self.tries)

    def __str__(self) -> str:
        values = (
            f"{number} {value} of {', '.join(dict.fromkeys(map(str, tried)))}"
            for number, value, *tried in zip(
                self.numbers, self.chosen.values, *(row.values for row in self.tries), strict=True
            )
        )
        failed = sum(row.accuracy is None for row in self.tries)
        without = f", {failed} of which failed" if failed else ""
        return f"{', '.join(values)}: the best of {len(self.tries)}{without}"


def of(
    results: Iterable[Sequence[RunResult]], failed: Iterable[RunSpec], searches: Iterable[Search]
) -> dict[str, Tries]:
    """What was tried, by the names of the groups that took part and have finished runs.

    Args:
        results: runs that differ by their seed only, each with its group.
        failed: runs that failed; a choice of values counts where all of its runs did, too.
        searches: what was searched. Two that share a run are one.
    """
    runs = {group[0].spec.group: tuple(group) for group in results}
    specs = {spec.group: spec for spec in failed} | {
        name: group[0].spec for name, group in runs.items()
    }
    tries: dict[str, Tries] = {}
    for names, numbers in _joined(specs, searches):
        if len(names) > 1 and any(name in runs for name in names):
            known = [(specs[name], runs.get(name, ())) for name in names]
            joined = _tries(known, numbers)
            tries |= dict.fromkeys((name for name in names if name in runs), joined)
    return tries


def _joined(
    specs: Mapping[str, RunSpec], searches: Iterable[Search]
) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Names of groups that searches join, and the numbers that these searches are of."""
    parts: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
    for search in searches:
        names = frozenset(name for name, spec in specs.items() if search.holds(spec))
        numbers = frozenset(search.numbers)
        for other_names, other_numbers in {parts[name] for name in names if name in parts}:
            names, numbers = names | other_names, numbers | other_numbers
        parts |= dict.fromkeys(names, (names, numbers))
    yield from dict.fromkeys(parts.values())


_Groups = Sequence[tuple[RunSpec, tuple[RunResult, ...]]]
_NEVER = "~"  # after all dates


def _tries(groups: _Groups, numbers: Iterable[str]) -> Tries:
    differing = [
        number
        for number in in_order([*numbers])
        if len({getattr(spec.recipe, number) for spec, _ in groups}) > 1
    ]
    # Seeds that were only added to some, usually to the best, have no say.
    seeds = [{run.spec.seed for run in runs} for _, runs in groups if runs]
    shared = set.intersection(*seeds)
    tries = [
        Try(
            spec,
            tuple(getattr(spec.recipe, number) for number in differing),
            len(runs),
            _accuracy([run for run in runs if run.spec.seed in shared] or runs),
            cost.of(runs).hours if runs else 0.0,
        )
        for spec, runs in groups
    ]
    orders = [_order(number, groups) for number in differing]
    tries.sort(
        key=lambda row: [
            order.index(value) for order, value in zip(orders, row.values, strict=True)
        ]
    )
    best = max(tries, key=lambda row: -1.0 if row.accuracy is None else row.accuracy)
    return Tries(tuple(differing), tuple(tries), best)


def _order(number: str, groups: _Groups) -> list[object]:
    """The values of a field of `Recipe`, in the order of `Tries.tries`."""
    began: dict[object, str] = {}
    standard = set()
    for spec, runs in groups:
        value = getattr(spec.recipe, number)
        starts = [run.provenance.started for run in runs]
        began[value] = min([began.get(value, _NEVER), *starts])
        standard |= {getattr(run.standard, number) for run in runs if run.standard}
    words = any(isinstance(value, str) for value in began)

    def rank(value: object) -> tuple[object, ...]:
        return (value not in standard, began[value], value) if words else (value,)

    return sorted(began, key=rank)


def _accuracy(runs: Sequence[RunResult]) -> float | None:
    rates = [100 * run.reported.validation.accuracy for run in runs]
    return fmean(rates) if rates else None
