"""The rules that choose an epoch: runs as another one reports them, and what the choice decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from effbench.records.by_rule import by_rule
from effbench.records.describe import RULES
from effbench.records.record import RunResult
from effbench.records.scores import SELECTIONS
from effbench.report.rows import Row

# Points that a rule has to move a row for anyone to care.
_LEAST = 0.1


def chosen(
    results: Iterable[RunResult], rule: str | None
) -> tuple[list[RunResult], tuple[RunResult, ...]]:
    """Runs as a rule of `scores.SELECTIONS` reports them, and those that were not scored by it.

    None is the rule of each run's recipe.
    """
    if rule is None:
        return list(results), ()
    pairs = [(result, by_rule(result, rule)) for result in results]
    return (
        [shown for _, shown in pairs if shown is not None],
        tuple(result for result, shown in pairs if shown is None),
    )


def lead(rule: str) -> str:
    """What a reader of figures by this rule has to know first."""
    return (
        f"Every run with epochs is shown at {RULES[rule]} (--select {rule}), whatever its recipe's "
        "rule."
    )


def unscored(result: RunResult) -> str:
    """Why a run is not shown by a rule."""
    known = " and ".join(RULES[row.rule] for row in result.selected)
    return f"it was scored at {known} alone; run it again with --force"


def decides(rows: Sequence[Row], labels: Sequence[str]) -> Iterator[str]:
    """A sentence if the rule decides more than the rows of a table differ, with the figures."""
    means = [row.accuracy.mean for row in rows]
    best = means.index(max(means))
    moves = [_moved(row) for row in rows]
    closer = [
        (means[best] - means[other], other, max((best, other), key=lambda index: moves[index]))
        for other in range(len(means))
        if other != best
        and max(moves[best], moves[other]) > max(means[best] - means[other], _LEAST)
    ]
    if closer:
        gap, other, moved = max(closer)
        yield (
            f"The rule that chooses the epoch moves {labels[moved]} by {moves[moved]:.2f} points, "
            f"more than the {gap:.2f} points between {labels[best]} and {labels[other]}"
            f"{_another_best(rows, labels, best)}; --select shows all by another rule."
        )


def _moved(row: Row) -> float:
    """By how many points its mean accuracy differs between rules; 0 where only one is known."""
    means = [mean for rule in SELECTIONS if (mean := row.by(rule)) is not None]
    return max(means) - min(means) if means else 0.0


def _another_best(rows: Sequence[Row], labels: Sequence[str], best: int) -> str:
    """Which row would be the best by another rule, if there is one that makes it another."""
    for rule in SELECTIONS:
        means = [row.by(rule) for row in rows]
        known = [mean for mean in means if mean is not None]
        if len(known) == len(means) and known[best] < max(known):
            return f" (at {RULES[rule]}, {labels[known.index(max(known))]} is the best)"
    return ""
