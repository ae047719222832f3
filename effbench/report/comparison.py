"""Two sets of results, row by row: what changed, and whether the change is real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from effbench.errors import EffbenchError, UsageError
from effbench.records.store import Store
from effbench.report import build, epoch_rules, pairing, published, statistics
from effbench.report.build import Faults
from effbench.report.hits import judging
from effbench.report.rows import Row
from effbench.report.statistics import Difference, holm


@dataclass(frozen=True)
class Change:
    """A row that both sides have; accuracies in percent.

    Attributes:
        name: the row's name, the same on both sides.
        base: mean accuracy before.
        new: mean accuracy after.
        seeds: how many each side has; a published figure counts as one.
        difference: new minus base, a rate; None where it cannot be tested.
        p: the p-value, after Holm's correction for all rows that were tested.
        remark: what else differs.
        untested: why it was not tested, in a few words; "" if it was.
        split: the images that they are of: "test", or "validation" where there is no test split.
        rule: the rule of selection that chose the epochs.
        chooses: what it chose, see `ways_to_train.WayToTrain`.
        seeded: whether each side depends on seeds.
    """

    name: str
    base: float
    new: float
    seeds: tuple[int, int]
    difference: Difference | None
    p: float | None
    remark: str
    untested: str = ""
    split: str = "test"
    rule: str = ""
    chooses: str = "epoch"
    seeded: tuple[bool, bool] = (True, True)

    def fails(self, max_drop: float, alpha: float) -> bool:
        """Whether accuracy fell by more than `max_drop` points, significantly at `alpha`."""
        return self.base - self.new > max_drop and self.p is not None and self.p < alpha


@dataclass(frozen=True)
class Comparison:
    """All rows of both sides.

    Attributes:
        changes: rows that both have.
        only_base: names of rows of BASE that were compared with none, each with the reason.
        only_new: names of rows of NEW that were compared with none.
        problems: files that are not here, and what was left out, a line each.
        left_out: runs of either side that were not compared, since their files cannot be read or
            contradict one another, a line each.
        rule: the rule of `scores.SELECTIONS` that chose every epoch; None for the recipes' own.
    """

    changes: tuple[Change, ...]
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]
    problems: tuple[str, ...]
    left_out: tuple[str, ...]
    rule: str | None = None

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Rows of BASE that were not tested, each with the reason."""
        untested = (
            f"{change.name} (not tested: {change.untested})"
            for change in self.changes
            if change.p is None
        )
        return (*untested, *self.only_base)


@dataclass(frozen=True)
class _Results:
    """A results directory: its rows, and why others are missing, by names of groups."""

    rows: Mapping[str, Row]
    failed: Mapping[str, str]
    faults: Faults


def compare(base: str, new: str, rule: str | None = None) -> Comparison:
    """Compares NEW with BASE: results directories, or one of them a published table.

    Args:
        base: a directory, or the name of the table.
        new: likewise.
        rule: the rule of `scores.SELECTIONS` that chooses every epoch; None for each recipe's.

    Raises:
        UsageError: neither is a results directory, or the table is of another rule.
        EffbenchError: nothing can be compared.
    """
    first, second = _read(base, rule), _read(new, rule)
    if first and second:
        comparison = _two(first, second)
    elif results := first or second:
        comparison = _with_table(results, table_first=first is None)
    else:
        raise UsageError("one side must be a results directory", f"{base}, {new}", "name one")
    for name, results in ((base, first), (new, second)):
        if results and not results.rows:
            raise _nothing_in(name, results)
    if not comparison.changes:
        only = (comparison.only_base, comparison.only_new)
        have = (", ".join(names) or "nothing" for names in only)
        raise EffbenchError(
            "nothing to compare",
            "; left out: ".join((" against ".join(have), *comparison.left_out)),
            "rows compare that have the same variant, weights, size, data and limit, and the same "
            "recipe, or one recipe on each side",
        )
    return replace(comparison, rule=rule)


def _nothing_in(directory: str, results: _Results) -> EffbenchError:
    failed = f"{len(results.failed)} failed" if results.failed else "none there"
    return EffbenchError(
        "no finished run to compare",
        "; left out: ".join((f"{directory} ({failed})", *results.faults.left_out)),
        f"sweep into it first: effbench sweep --results {directory}",
    )


def _read(name: str, rule: str | None) -> _Results | None:
    """The results of a directory; None for the published table."""
    directory = Path(name)
    if not directory.is_dir():
        if name == published.CASE_STUDY.name:
            if rule not in (None, published.CASE_STUDY_RULE):
                hint = f"leave it out, or take {published.CASE_STUDY_RULE}"
                raise UsageError(f"{name} has no figures by this rule", f"--select {rule}", hint)
            return None
        hint = f"name a directory, or {published.CASE_STUDY.name}"
        raise UsageError("compare takes results directories, or a published table", name, hint)
    store = Store(directory)
    records = store.load(checked=True)
    scored, others = epoch_rules.chosen(records.results, rule)
    groups, faults = build.gather(store, scored)
    searched, unread = build.searches(store, groups, (failure.spec for failure in records.failures))
    rows = build.rows(groups, searched=searched)
    failed = {
        failure.spec.group: f"{failure.kind}: {failure.message}" for failure in records.failures
    } | {run.spec.group: epoch_rules.unscored(run) for run in others}
    left_out = (*records.problems, *faults.left_out)
    faults = Faults(left_out, (*faults.problems, *unread))
    return _Results(_named(rows), failed, faults)


def _named(rows: Sequence[Row]) -> dict[str, Row]:
    """Rows by the names of their groups, without the hash where that is enough."""
    names = [pairing.readable(row.group) for row in rows]
    return {
        name if names.count(name) == 1 else row.group: row
        for name, row in zip(names, rows, strict=True)
    }


def _two(base: _Results, new: _Results) -> Comparison:
    paired = pairing.pairs(base.rows, new.rows)
    changes = []
    for pair in paired:
        before, after = pair.base, pair.new
        metric = judging([*before.results, *after.results])
        untested = _untested(before, after)
        difference = None
        if not untested and before.samples and after.samples:
            difference = statistics.compare(after.samples[metric.name], before.samples[metric.name])
        changes.append(
            Change(
                name=pair.name,
                base=before.accuracies[metric.name].mean,
                new=after.accuracies[metric.name].mean,
                seeds=(len(before.results), len(after.results)),
                difference=difference,
                p=None,
                remark=_remark(before, after),
                untested=untested,
                split=metric.split,
                rule=after.rule,
                chooses=after.spec.recipe.way.chooses,
                seeded=(before.seeded, after.seeded),
            )
        )
    failed = {pairing.readable(group): why for group, why in new.failed.items()} | dict(new.failed)
    compared = {pair.new.group for pair in paired}
    return Comparison(
        _corrected(changes),
        tuple(
            f"{name} ({failed.get(name, reason)})"
            for name, reason in pairing.unpaired(base.rows, new.rows, paired)
        ),
        tuple(name for name, row in new.rows.items() if row.group not in compared),
        *_faults(base, new),
    )


def _untested(base: Row, new: Row) -> str:
    """Why two rows cannot be tested; "" if they can."""
    if base.spec.data_sha256 != new.spec.data_sha256:
        return "other images"
    lacking = [side for side, row in (("BASE", base), ("NEW", new)) if not row.samples]
    return f"predictions of {' and '.join(lacking)} are missing" if lacking else ""


def _with_table(results: _Results, *, table_first: bool) -> Comparison:
    """Compares results with the case study's table, whichever of them is the base."""
    ours_is, lacking = ("NEW", "NEW") if table_first else ("BASE", "the table")
    figures = {
        name: figure
        for name, row in results.rows.items()
        if (figure := row.accuracy.published) is not None
    }
    rows = {name: results.rows[name] for name in figures}
    changes = []
    for name, row in rows.items():
        ours, theirs = row.accuracy.mean, figures[name]
        difference = None
        if row.samples:
            _, total = row.metric.count(row.results[0])
            correct = round(theirs / 100 * total)
            difference = statistics.from_count(row.samples[row.metric.name], correct, total)
        change = Change(
            name,
            theirs,
            ours,
            (1, len(row.results)),
            difference,
            None,
            "predictions unknown",
            "" if row.samples else f"predictions of {ours_is} are missing",
            seeded=(True, row.seeded),
        )
        changes.append(change if table_first else _turned(change))
    ours_only = tuple(name for name in results.rows if name not in rows)
    shown = {
        (row.spec.variant, row.spec.image_size, row.spec.weights.name) for row in rows.values()
    }
    theirs_only = tuple(
        f"{variant}-{weights}-{size}"
        for variant, size, weights in published.case_study()
        if (variant, size, weights) not in shown
    )
    first, second = (theirs_only, ours_only) if table_first else (ours_only, theirs_only)
    first = tuple(f"{name} ({lacking} has no such row)" for name in first)
    return Comparison(_corrected(changes), first, second, *_faults(results))


def _faults(*sides: _Results) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`Comparison.problems` and `Comparison.left_out`."""
    left_out = tuple(line for side in sides for line in side.faults.left_out)
    problems = tuple(line for side in sides for line in side.faults.problems)
    return (*(f"left out: {line}" for line in left_out), *problems), left_out


def _turned(change: Change) -> Change:
    """The same change seen from the other side."""
    difference = change.difference
    return replace(
        change,
        base=change.new,
        new=change.base,
        seeds=change.seeds[::-1],
        seeded=change.seeded[::-1],
        difference=difference
        and replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low),
    )


def _corrected(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes, with p-values corrected for the number of rows."""
    tested = [change.difference for change in changes if change.difference]
    corrected = iter(holm([difference.p for difference in tested]))
    return tuple(
        replace(change, p=next(corrected)) if change.difference else change for change in changes
    )


def _remark(base: Row, new: Row) -> str:
    """What differs between two rows beside their accuracy."""
    # Two recipes have hardly a number in common.
    numbers = base.spec.recipe.name == new.spec.recipe.name
    before, after = (_settings(row, numbers=numbers) for row in (base, new))
    differ = [
        f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    if not (base.has_predictions or new.has_predictions):
        differ.append(f"neither side has kept the predictions by {new.rule}")
    return ", ".join(differ)


def _settings(row: Row, *, numbers: bool) -> dict[str, str]:
    """All settings that may explain a change; of the recipe its numbers, or its name."""
    spec, made = row.spec, row.results[0].provenance
    settings: dict[str, object] = {
        "seeds": ",".join(str(seed) for seed in row.seeds) or "none",
        "data": spec.data_sha256[:8],
        "weights": spec.weights.digest[:15],
        "rescale": spec.weights.rescale,
        "precision": spec.precision,
        "feature cache": spec.feature_cache,
        "predictions": "there" if row.samples else "missing",
        **(asdict(spec.recipe) if numbers else {"recipe": spec.recipe.name}),
        "selection": row.rule,
        "best of": len(row.tries.tries) if row.tries else 1,
        "device": made.device_name,
        "commit": made.commit,
        **made.versions,
    }
    return {name: str(value) for name, value in settings.items()}
