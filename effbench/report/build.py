"""From a results directory to the sections of its report."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from effbench.errors import EffbenchError
from effbench.records.record import RunFailure, RunResult
from effbench.records.store import Store
from effbench.report import hits, sections
from effbench.report import rows as frame
from effbench.report.hits import Samples
from effbench.report.sections import Section
from effbench.report.select import Selection, split
from effbench.report.statistics import Bootstrap, bootstrap

# Runs that differ by their seed only, and what they got right; None without predictions.
Groups = list[tuple[tuple[RunResult, ...], Samples | None]]


@dataclass(frozen=True)
class Report:
    """What a results directory says.

    Attributes:
        sections: tables of finished runs.
        failures: runs that did not finish.
        problems: files that could not be read or do not fit, and what was left out, a line each.
    """

    sections: tuple[Section, ...]
    failures: tuple[RunFailure, ...]
    problems: tuple[str, ...]


def read(store: Store, selection: Selection, price: float | None = None) -> Report:
    """The report of one results directory.

    Args:
        store: of the records.
        selection: which of them.
        price: dollars an hour of the machine.

    Raises:
        EffbenchError: there is nothing to report.
    """
    with _uncollected():
        return _read(store, selection, price)


def _read(store: Store, selection: Selection, price: float | None) -> Report:
    records = store.load()
    if not records.results and not records.failures:
        raise EffbenchError("no runs to report", str(store.directory), "run 'effbench sweep' first")
    chosen = [each for each in records.results if selection.names(each.spec)]
    failures = tuple(each for each in records.failures if selection.names(each.spec))
    groups, problems = gather(store, chosen)
    every, draws = rows(groups, price)
    shown = selection.rows(every)
    if not shown and not failures:
        raise EffbenchError(
            "no run fits the selection",
            f"{len(records.results)} results, {len(records.failures)} failures",
            f"there are {_there(records.results)}",
        )
    tables = sections.build(shown, draws, split(selection.group_by))
    return Report(tuple(tables), failures, (*records.left_out, *problems))


def gather(
    store: Store, results: Iterable[RunResult], origin: str = ""
) -> tuple[Groups, list[str]]:
    """Groups with what they got right, and what is wrong with predictions.

    Args:
        store: where the predictions are.
        results: of the same directory.
        origin: tells the samples from those of another directory.
    """
    groups: Groups = []
    problems = []
    for group in frame.grouped(results):
        try:
            groups.append((group, hits.read(store, group, origin)))
        except EffbenchError as error:
            groups.append((group, None))
            problems.append(str(error))
    return groups, problems


def rows(groups: Groups, price: float | None = None) -> tuple[list[frame.Row], Bootstrap | None]:
    """A row a group, and the draws that their intervals and differences come from."""
    draws = bootstrap(sample for _, own in groups if own for sample in own.values())
    return [frame.row(group, own, draws, price) for group, own in groups], draws


def _there(results: Iterable[RunResult]) -> str:
    """The names that a selection can have."""
    names: dict[str, dict[str, None]] = {}
    for each in results:
        spec = each.spec
        for what, name in (
            ("variants", spec.variant),
            ("recipe", spec.recipe.name),
            ("weights", spec.weights.name),
            ("data", spec.data),
        ):
            names.setdefault(what, {})[name] = None
    return "; ".join(f"--{what} {', '.join(found)}" for what, found in names.items())


@contextmanager
def _uncollected() -> Iterator[None]:
    """Looks for no garbage: all is kept to the end, and looking costs a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
