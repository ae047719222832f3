"""What a reader of a section has to know."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from effbench.records import describe
from effbench.records.caveats import ANOTHER_RULE, CAVEATS
from effbench.records.describe import RULES
from effbench.report import published
from effbench.report.rows import Row
from effbench.report.statistics import ALPHA, CONFIDENCE


def notes(rows: Sequence[Row], *, few: bool) -> tuple[str, ...]:
    """The notes on a section, one line each; `few` says whether its rows were compared pairwise."""
    return (
        *_figures(rows),
        *_comparison(rows, few),
        *_selection(rows),
        *_l2(rows),
        *_folds(rows),
        *_draw(rows),
        *_splits(rows),
        *_tries(rows),
        *_published(rows),
        *_marks(rows),
        *_cost(rows),
    )


def _figures(rows: Sequence[Row]) -> list[str]:
    several = any(len(row.results) > 1 for row in rows)
    mean = "mean ± standard deviation over seeds" if several else ""
    top5 = any("val_top5_accuracy" in row.accuracies for row in rows)
    # Wilson's is for images that stand for themselves.
    units, single = ("groups of images", "") if _in_groups(rows) else ("images", " (Wilson)")
    over = f"over {units}{single}"
    if several:
        over = f"over {units} and seeds, or over {units} for {_one(rows)}{single}"
    known = any(accuracy.low is not None for row in rows for accuracy in row.accuracies.values())
    interval = f"[{100 * CONFIDENCE:.0f} % interval {over}]" if known else ""
    figures = ", ".join(filter(None, (mean, interval)))
    return [
        f"Percent; {figures}" + ("; top-5 is of validation, as in the case study." if top5 else ".")
    ]


def _in_groups(rows: Sequence[Row]) -> bool:
    return any(sample.groups is not None for row in rows for sample in (row.samples or {}).values())


def _one(rows: Sequence[Row]) -> str:
    """How few seeds a row may have."""
    return "one seed" if all(row.seeded for row in rows) else "one seed or none"


def _comparison(rows: Sequence[Row], few: bool) -> list[str]:
    lines = []
    if any(row.letters for row in rows):
        seeds = " and seeds" if any(row.seeded for row in rows) else ""
        test = f"McNemar's exact test for {_one(rows)} each, else t over images and seeds, paired"
        if not seeds:
            test = "McNemar's exact test"
        if _in_groups(rows):
            test = f"t over groups of images{seeds}, paired"
        lines.append(
            "same as: rows that share a letter cannot be told apart by their "
            f"{rows[0].metric.title.lower()} (p < {ALPHA:.2g} after Holm's correction; {test}). "
            "The interval of a difference is of that pair alone."
        )
    if not few:
        lines.append(
            f"{len(rows)} rows are too many to compare each with each; choose fewer, e.g. with "
            "--variants or --where."
        )
    single = sorted({row.spec.variant for row in rows if row.one_seed})
    if single:
        lines.append(
            f"One seed only ({', '.join(single)}): how far other seeds would fall is not known; "
            "compared with several it is taken to spread as they do, one with one not at all."
        )
    one_rule = [row.group for row in rows if not row.has_predictions]
    if one_rule:
        which = "these rows" if len(one_rule) == len(rows) else ", ".join(one_rule)
        lines.append(
            f"The records of {which} keep the predictions of their recipe's rule alone: of "
            f"{RULES[rows[0].rule]} they have counts, but no interval over seeds, no comparison "
            "and no figures of classes. Run again with --force, they keep those of every rule."
        )
    bare = [row.group for row in rows if row.samples is None and row.has_predictions]
    if bare:
        lines.append(
            "The predictions of at least one run are missing or damaged, so there is no comparison "
            f"of {', '.join(bare)}; 'effbench validate' says which."
        )
    return lines


def _selection(rows: Sequence[Row]) -> list[str]:
    """A note on runs that report the first epoch: more often the rule's flaw than the best one."""
    runs = [result for row in rows for result in row.results if result.spec.recipe.epochs > 1]
    first = [result for result in runs if result.reported.epoch == 1]
    if not first:
        return []
    gained = [
        100 * (selected.judged.accuracy - result.reported.judged.accuracy)
        for result in first
        for selected in result.selected
        if selected.rule == "final"
    ]
    if not gained:  # in older records, whole networks have the scores of one rule
        return []
    whose = "chosen" if ANOTHER_RULE in first[0].marks else "recipe's"
    return [
        f"epoch: for {len(first)} of {len(runs)} runs the {whose} rule "
        f"({first[0].rule}) reports the first epoch; the last one's "
        f"{rows[0].metric.title.lower()} is {fmean(gained):+.2f} points from it on average"
        + (" (column test_accuracy_by_final)." if rows[0].metric.split == "test" else ".")
    ]


def _l2(rows: Sequence[Row]) -> list[str]:
    """A note on runs whose L2 was not chosen by the validation images."""
    folds = dict.fromkeys(row.l2_search.folds for row in rows if row.l2_search)
    return [f"L2 was chosen by {describe.by_folds(count)}." for count in folds if count]


def _folds(rows: Sequence[Row]) -> list[str]:
    """A note on how the images of a cross-validation are tested."""
    return [
        f"{describe.cross_validation(count).capitalize()}: every image tests once, by a head that "
        "trained without its fold and without the next one, which chose."
        for count in dict.fromkeys(row.spec.folds for row in rows)
        if count
    ]


def _draw(rows: Sequence[Row]) -> list[str]:
    """A note on rows of a part of the training images: which ones were drawn is chance as well."""
    if not any(row.spec.fewer and len(row.seeds) <= 1 for row in rows):
        return []
    return [
        "The training images are one draw of all that there are, the same for every run; the "
        "intervals leave its chance out."
    ]


def _splits(rows: Sequence[Row]) -> list[str]:
    made = dict.fromkeys(
        result.images.made for row in rows for result in row.results if not row.spec.folds
    )
    return [f"{text[0].upper()}{text[1:]}." for text in map(describe.of_made, made) if text]


def _tries(rows: Sequence[Row]) -> list[str]:
    """A note on rows whose only accuracy is the one that chose them."""
    untested = [row for row in rows if row.tries and row.metric.split != "test"]
    which = ", ".join(dict.fromkeys(row.spec.variant for row in untested))
    if not untested:
        return []
    return [
        f"Of {which} the best of several values is shown, by the accuracy that chose it, as there "
        "is no test split: it is too high, and comparisons with it are too favourable."
    ]


def _published(rows: Sequence[Row]) -> list[str]:
    shown = {row.spec.variant for row in rows if row.accuracy.published}
    if not shown:
        return []
    lines = [
        f"published {name}: {flaw.text}"
        for name, flaws in published.flaws().items()
        if name in shown
        for flaw in flaws
    ]
    return [*lines, *(f"published, {note}" for note in published.CASE_STUDY.notes)]


def _marks(rows: Sequence[Row]) -> list[str]:
    present = {mark for row in rows for mark in row.marks}
    return [f"{caveat.name}: {caveat.meaning}." for caveat in CAVEATS if caveat.name in present]


def _cost(rows: Sequence[Row]) -> list[str]:
    devices = dict.fromkeys(row.cost.device for row in rows)
    lines = [
        f"Seconds and hours are wall-clock times on {'; '.join(devices)}; where a machine is "
        "shared, the same work takes half as long again another time."
    ]
    lines += [
        f"Costs of {row.spec.variant} are of the value that was chosen; all "
        f"{len(row.tries.tries)} that were tried took {row.tries.hours:.3g} hours."
        for row in rows
        if row.tries
    ]
    cached = [row.spec.variant for row in rows if row.cost.from_cache]
    if not cached:
        return lines
    return [
        *lines,
        f"Features of {', '.join(dict.fromkeys(cached))} came, all or in part, from the cache: "
        "the time they once took is not in seconds and hours.",
    ]
