"""Builds the sections of a report from a results directory."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from effbench import remote_folder
from effbench.config.run_spec import RunSpec
from effbench.errors import EffbenchError
from effbench.imagenet import imagenet_records
from effbench.records import integrity, search_files
from effbench.records.describe import RULES
from effbench.records.integrity import Ranks
from effbench.records.record import RunFailure, RunResult
from effbench.records.store import Store
from effbench.report import epoch_rules, hits, measured_imagenet, sections, tries
from effbench.report.hits import Samples
from effbench.report.rows import Row, grouped, row_of
from effbench.report.sections import Section
from effbench.report.select import Selection, all_names, split
from effbench.report.tries import Tries

# Runs that differ by their seed only, and which images they got right; None without predictions.
Groups = list[tuple[tuple[RunResult, ...], Samples | None]]


_NONE: Mapping[str, Tries] = MappingProxyType({})

# The heading above the runs that are in no table.
LEFT_OUT = "Left out of every table"


@dataclass(frozen=True)
class Faults:
    """What is wrong with the runs of a results directory, a line each.

    Attributes:
        left_out: runs that no table shows, since their files contradict one another.
        problems: predictions that are not here, so that a run is shown but not compared.
    """

    left_out: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a results directory says.

    Attributes:
        sections: tables of finished runs.
        failures: runs that did not finish.
        problems: files that are not here, and what was left out, a line each.
        left_out: runs that are in no table, since their files cannot be read or contradict one
            another, a line each.
        rule: the rule of `scores.SELECTIONS` that chose every epoch; None for the recipes' own.
        unscored: runs that are in no table, since they were not scored by that rule, a line each.
        tries: whether every value of a search has a row of its own.
    """

    sections: tuple[Section, ...]
    failures: tuple[RunFailure, ...]
    problems: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    rule: str | None = None
    unscored: tuple[str, ...] = ()
    tries: bool = False


def read(store: Store, selection: Selection, price: float | None = None) -> Report:
    """The report of one results directory.

    Args:
        store: holds the records.
        selection: which of the records to report.
        price: what the machine costs, dollars an hour.

    Raises:
        EffbenchError: there is nothing to report.
    """
    with _without_garbage_collection():
        return _read(store, selection, price)


def _read(store: Store, selection: Selection, price: float | None) -> Report:
    records = store.load(checked=True)
    scored_releases, unread_scores = imagenet_records.load(store.directory)
    if not (records.results or records.failures or records.problems):
        folder = remote_folder.shown(store.directory)
        if scored_releases:
            raise EffbenchError(
                "no runs to report",
                f"{folder} has {len(scored_releases)} scores of 'effbench imagenet' alone",
                "--beside imagenet (V1: imagenet-v1) shows those of ImageNet itself, and the "
                "command that made them prints any again",
            )
        raise EffbenchError("no runs to report", folder, "run 'effbench sweep' first")
    chosen = [result for result in records.results if selection.names(result.spec)]
    failures = tuple(failure for failure in records.failures if selection.names(failure.spec))
    specs = [run.spec for run in records.results] + [run.spec for run in records.failures]
    if chosen or failures:
        selection.check_names(specs)
    scored, others = epoch_rules.chosen(chosen, selection.rule)
    unscored = tuple(f"{run.spec.key}: {epoch_rules.unscored(run)}" for run in others)
    groups, faults = gather(store, scored)
    searched, unread = searches(store, groups, (failure.spec for failure in failures))
    left_out = (*records.problems, *faults.left_out)
    best = rows(groups, price, {} if selection.tries else searched)
    top1 = measured_imagenet.top1(scored_releases)
    every = [
        replace(row, store=store, imagenet_top1=top1.get((row.spec.variant, row.spec.weights.name)))
        for row in best
    ]
    shown = selection.rows(every)
    if unscored and not every and not failures:
        raise EffbenchError(
            f"no run was scored at {RULES[selection.rule or '']}",
            f"{len(unscored)} runs, the first {unscored[0]}",
            "leave --select out to see them",
        )
    if not shown and not failures:
        first = f", {len(left_out)} left out, the first {left_out[0]}" if left_out else ""
        names = _selectable_names(specs)
        raise EffbenchError(
            "no run fits the selection",
            f"{len(records.results)} results, {len(records.failures)} failures{first}",
            "run 'effbench validate'" if faults.left_out or not names else f"there are {names}",
        )
    tables = sections.build(shown, split(selection.group_by))
    problems = (
        *(f"left out: {line}" for line in left_out),
        *faults.problems,
        *unread,
        *unread_scores,
    )
    apart = selection.tries and bool(searched)
    return Report(tuple(tables), failures, problems, left_out, selection.rule, unscored, apart)


def gather(store: Store, results: Iterable[RunResult]) -> tuple[Groups, Faults]:
    """Groups runs that differ by their seed only, and adds which images they got right.

    Runs that contradict their predictions are left out.

    Args:
        store: where the predictions are.
        results: the records of the same directory.
    """
    groups: Groups = []
    left_out: list[str] = []
    problems: list[str] = []
    for group in grouped(results):
        runs: list[RunResult] = []
        ranks: list[Ranks] = []
        for run in group:
            arrays, findings = integrity.ranks(store, run)
            problems += [
                f"{finding.path}: {finding.text}" for finding in findings if finding.absent
            ]
            if wrong := [finding.text for finding in findings if not finding.absent]:
                left_out.append(f"{store.folder(run.spec.key)}: {'; '.join(wrong)}")
            else:
                runs.append(run)
                ranks += [] if arrays is None else [arrays]
        if runs:
            whole = len(ranks) == len(runs)
            groups.append((tuple(runs), hits.samples(runs, ranks) if whole else None))
    return groups, Faults(tuple(left_out), tuple(problems))


def searches(
    store: Store, groups: Groups, failed: Iterable[RunSpec]
) -> tuple[dict[str, Tries], tuple[str, ...]]:
    """What was tried, by the names of groups, and searches that could not be read, a line each."""
    kept = search_files.read(store)
    problems = tuple(f"{path}: {text}" for path, text in kept.problems.items())
    return tries.of((runs for runs, _ in groups), failed, kept.known), problems


def rows(
    groups: Groups, price: float | None = None, searched: Mapping[str, Tries] = _NONE
) -> list[Row]:
    """One row for each group; of those that a search tried, for the best alone."""
    named = [(searched.get(runs[0].spec.group), runs, samples) for runs, samples in groups]
    return [
        replace(row_of(runs, samples, price), tries=tries_of_group)
        for tries_of_group, runs, samples in named
        if tries_of_group is None or tries_of_group.chosen.spec.group == runs[0].spec.group
    ]


def _selectable_names(specs: Sequence[RunSpec]) -> str:
    """The names that a selection can ask for; "" where there are no runs."""
    names = all_names(specs) if specs else {}
    return "; ".join(f"--{flag} {', '.join(values)}" for flag, values in names.items())


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Turns garbage collection off, and then leaves out what was made meanwhile.

    All is kept, and to look for garbage among it costs a fifth of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
