"""The answer: what a section says, in two to four plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from numpy import array_equal

from effbench.records.caveats import CAVEATS, LEAKED
from effbench.records.describe import no_test
from effbench.report.build import Report
from effbench.report.epoch_rules import decides, lead
from effbench.report.sections import Pair, Section
from effbench.report.statistics import CONFIDENCE

# How many names one sentence lists.
LISTED = 6
# Marks that matter more than what else may be said.
_GRAVEST = ("random weights", "limited", LEAKED)


def sentences(section: Section) -> Iterator[str]:
    """The best row, its equals, the cheapest of these, and the one caveat that matters most.

    The notes of the section have every caveat.
    """
    means = [row.accuracy.mean for row in section.rows]
    best = means.index(max(means))
    yield _best(section, best)
    if len(means) == 1:
        yield "There is nothing to compare it with in this table."
    else:
        yield from _others(section, best)
    if caveat := _caveat(section):
        yield caveat


_TRIED = (
    "Every value of a search has a row of its own (--tried): whoever takes the best of them by "
    "this table chooses by the test images, and its accuracy is then too high."
)


def opening(report: Report) -> str:
    """What holds for a whole report: its rule, and runs that are in no table; "" for nothing."""
    rule = lead(report.rule) if report.rule else ""
    tried = _TRIED if report.tries else ""
    return " ".join(
        filter(None, (rule, tried, _unscored(report), _failed(report), _left_out(report)))
    )


def _unscored(report: Report) -> str:
    count = len(report.unscored)
    if not count:
        return ""
    runs = "1 run has" if count == 1 else f"{count} runs have"
    return f"{runs} no scores of that epoch and {'is' if count == 1 else 'are'} in no table."


def _left_out(report: Report) -> str:
    count = len(report.left_out)
    if not count:
        return ""
    runs = "1 run is" if count == 1 else f"{count} runs are"
    return f"{runs} left out of every table, because the files are not to be trusted: see the end."


def _failed(report: Report) -> str:
    count = len(report.failures)
    if not count:
        return ""
    runs = "1 run" if count == 1 else f"{count} runs"
    if not report.sections:
        return f"No run has finished, so there is nothing to compare: {runs} failed."
    return f"{runs} failed and {'is' if count == 1 else 'are'} in no table; the end says why."


def _best(section: Section, best: int) -> str:
    accuracy = section.rows[best].accuracy
    level = [
        label
        for index, (row, label) in enumerate(zip(section.rows, section.labels, strict=True))
        if index != best and row.accuracy.mean == accuracy.mean
    ]
    verb = "gets"
    if len(section.rows) > 1:
        others = f"{len(level)} others" if len(level) > 1 else "".join(level)
        verb = f"is the best{f', level with {others}' if level else ''}: it gets"
    interval = ""
    if accuracy.low is not None:
        percent = f"{100 * CONFIDENCE:.0f} %"
        interval = f" ({percent} interval: {accuracy.low:.2f} to {accuracy.high:.2f})"
    return (
        f"{section.labels[best]} {verb} {accuracy.mean:.2f} % of the {section.metric.split} images "
        f"right{interval}{_without_test(section)}."
    )


def _without_test(section: Section) -> str:
    """What a reader must know at once where the images that are judged also trained or chose."""
    if section.metric.split == "test":
        return ""
    rules = {row.rule for row in section.rows}
    chosen = [row.spec.recipe.way.chooses for row in section.rows]
    return f"; there is no test split: {no_test(rules, chosen)}"


def _others(section: Section, best: int) -> Iterator[str]:
    """How the others compare with the best row, and what is not known of them."""
    pairs = {
        pair.second if pair.first == best else pair.first: pair
        for pair in section.pairs
        if best in (pair.first, pair.second)
    }
    if not pairs:
        yield f"Whether others are truly worse was not tested: {_why_untested(section, best)}."
        return
    untested = [
        label for index, label in enumerate(section.labels) if index != best and index not in pairs
    ]
    but = f"; {listed(untested)} could not be compared, for want of predictions" if untested else ""
    alike = {index: pair for index, pair in pairs.items() if not pair.real}
    if alike:
        most = max(_most_lost(pair, best) for pair in alike.values())
        how = f"the difference may be nothing, or up to {100 * most:.1f} points"
        if all(_alike(section, index, best) for index in alike):
            how = f"the same images are right, which leaves {100 * most:.2g} points open"
        names = listed([section.labels[index] for index in alike])
        yield f"It cannot be told apart from {names}: {how}{but}."
        yield from _cheapest(section, best, alike)
    else:
        others = "All others are"
        if len(pairs) == 1:
            others = f"{section.labels[next(iter(pairs))]} is"
        single = any(pair.difference.of_these_seeds for pair in pairs.values())
        how = (
            "with these seeds; one seed each says nothing of other seeds"
            if single
            else "by more than chance"
        )
        yield f"{others} worse {how}{but}."


def _alike(section: Section, first: int, second: int) -> bool:
    """Whether two rows have the same images right, seed by seed."""
    one, other = (section.rows[index].samples for index in (first, second))
    name = section.metric.name
    return bool(one and other and array_equal(one[name].hits, other[name].hits))


def _most_lost(pair: Pair, best: int) -> float:
    """By how much the other row may truly be worse than the best, a rate."""
    return pair.difference.high if pair.first == best else -pair.difference.low


def _why_untested(section: Section, best: int) -> str:
    tested = sum(row.samples is not None for row in section.rows)
    if section.rows[best].samples is not None and tested > 2:
        return f"{len(section.rows)} rows are too many"
    if not all(row.has_predictions for row in section.rows):
        return "their records keep the predictions of another rule alone"
    return "predictions are missing"


def _cheapest(section: Section, best: int, alike: Iterable[int]) -> Iterator[str]:
    rows, labels = section.rows, section.labels
    costs = {index: rows[index].cost.gflops for index in (best, *alike)}
    cheapest = min(costs, key=lambda index: costs[index])
    share = 100 * costs[cheapest] / costs[best]
    if cheapest != best:
        percent = f"{share:.0f} % of the arithmetic of {labels[best]}"
        yield f"Of these, {labels[cheapest]} is the cheapest, with {percent}."
    elif len(set(costs.values())) > 1:
        yield f"Of these, {labels[best]} is also the cheapest."


def _caveat(section: Section) -> str:
    """The caveat that matters most, in a sentence; "" where there is none.

    What is no result at all comes first, with what decides more than the rows; then what another
    seed may change, and what the other marks say.
    """
    said: dict[str, str] = {}
    for caveat in CAVEATS:
        marked = [
            label
            for row, label in zip(section.rows, section.labels, strict=True)
            if caveat.name in row.marks
        ]
        if marked:
            said[caveat.name] = f'{_who(marked, section)} marked "{caveat.name}": {caveat.meaning}.'
    gravest = next((said[name] for name in said if name in _GRAVEST), "")
    decided = next(decides(section.rows, section.labels), "")
    if gravest and decided:
        return f"{gravest.removesuffix('.')}; {decided[0].lower()}{decided[1:]}"
    if gravest or decided:
        return gravest or decided
    single = [
        label for row, label in zip(section.rows, section.labels, strict=True) if row.one_seed
    ]
    if single:
        who = _who(single, section)
        return f"{who} trained with one seed only; another seed may give other figures."
    return next(iter(said.values()), "")


def _who(labels: Sequence[str], section: Section) -> str:
    """The subject of a sentence, with its verb."""
    if len(section.labels) == 1:
        return "It is"
    if len(labels) == len(section.labels):
        return "All rows are"
    return f"{listed(labels)} {'is' if len(labels) == 1 else 'are'}"


def listed(names: Sequence[str]) -> str:
    """Names as they stand in a sentence; of many, the first."""
    more = len(names) - LISTED
    shown = [*names[:LISTED], f"{more} more"] if more > 0 else list(names)
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
