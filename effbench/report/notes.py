"""What a reader of a section has to know."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from effbench.records.caveats import CAVEATS
from effbench.report import published
from effbench.report.rows import Row
from effbench.report.statistics import ALPHA, CONFIDENCE


def notes(rows: Sequence[Row], *, few: bool) -> tuple[str, ...]:
    """One line each; `few` says whether the rows were compared pairwise."""
    return (
        *_figures(rows),
        *_comparison(rows, few),
        *_selection(rows),
        *_published(rows),
        *_marks(rows),
        *_cost(rows),
    )


def _figures(rows: Sequence[Row]) -> list[str]:
    several = any(len(row.results) > 1 for row in rows)
    mean = "mean ± standard deviation over seeds, " if several else ""
    over = (
        "over images and seeds (bootstrap), or over images for one seed (Wilson)"
        if several
        else "over images (Wilson)"
    )
    return [
        f"Percent; {mean}[{100 * CONFIDENCE:.0f} % interval {over}]; "
        "top-5 is of validation, as in the case study."
    ]


def _comparison(rows: Sequence[Row], few: bool) -> list[str]:
    found = []
    if any(row.letters for row in rows):
        found.append(
            "same as: rows that share a letter cannot be told apart by their test accuracy "
            f"(p < {ALPHA:.2g} after Holm's correction; McNemar's exact test for one seed each, "
            "else a paired bootstrap over images and seeds). The interval of a difference is of "
            "that pair alone."
        )
    if not few:
        found.append(
            f"{len(rows)} rows are too many to compare each with each; choose fewer, e.g. with "
            "--variants or --where."
        )
    single = sorted({row.spec.variant for row in rows if len(row.results) == 1})
    if single:
        found.append(
            f"One seed only ({', '.join(single)}): how far other seeds would fall is not known; "
            "compared with several it is taken to spread as they do, one with one not at all."
        )
    bare = [row.group for row in rows if row.samples is None]
    if bare:
        found.append(
            "The predictions of at least one run are missing or damaged, so there is no comparison "
            f"of {', '.join(bare)}; 'effbench validate' says which."
        )
    return found


def _selection(rows: Sequence[Row]) -> list[str]:
    """The first epoch, reported of several, is more often a flaw of the rule than the best."""
    runs = [each for row in rows for each in row.results if each.spec.recipe.epochs > 1]
    first = [each for each in runs if each.reported.epoch == 1]
    if not first:
        return []
    gained = [
        100 * (row.test.accuracy - each.reported.test.accuracy)
        for each in first
        for row in each.selected
        if row.rule == "final"
    ]
    if not gained:  # whole networks are tested once, with the weights that are selected
        return []
    return [
        f"epoch: for {len(first)} of {len(runs)} runs the recipe's rule "
        f"({first[0].spec.recipe.selection}) reports the first epoch; the last one's test accuracy "
        f"is {fmean(gained):+.2f} points from it on average (column test_accuracy_by_final)."
    ]


def _published(rows: Sequence[Row]) -> list[str]:
    shown = {row.spec.variant for row in rows if row.accuracies["test_accuracy"].published}
    if not shown:
        return []
    found = [
        f"published {name}: {flaw.text}"
        for name, flaws in published.flaws().items()
        if name in shown
        for flaw in flaws
    ]
    return [*found, *(f"published, {note}" for note in published.CASE_STUDY.notes)]


def _marks(rows: Sequence[Row]) -> list[str]:
    present = {mark for row in rows for mark in row.marks}
    return [f"{row.name}: {row.meaning}." for row in CAVEATS if row.name in present]


def _cost(rows: Sequence[Row]) -> list[str]:
    devices = dict.fromkeys(row.cost.device for row in rows)
    found = [
        f"Seconds and hours are wall-clock times on {'; '.join(devices)}; where a machine is "
        "shared, the same work takes half as long again another time."
    ]
    cached = [row.spec.variant for row in rows if row.cost.from_cache]
    if not cached:
        return found
    return [
        *found,
        f"Features of {', '.join(dict.fromkeys(cached))} came, all or in part, from the cache: "
        "the time they once took is not in seconds and hours.",
    ]
