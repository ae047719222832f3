"""Each L2 of a run that chose one: how accurate it was, and how well the regression was solved."""

from __future__ import annotations

from effbench.records.record import L2Search, L2Value
from effbench.tables import Column, Table

# Characters of the longest bar.
_BAR = 14


def table(search: L2Search) -> Table:
    """A row for each L2, the strongest first; accuracies are percent.

    Bars show the accuracy that chose, from the lowest to the highest.
    """
    judged = f"{search.folds}-fold" if search.folds else "val"
    columns = (
        Column("L2", words=True),
        Column(f"{judged} top-1, %"),
        Column("", words=True),
        Column(f"{judged} loss"),
        Column("top-1, %"),
        Column("loss"),
        Column("gradient", rank=1),
        Column("iterations", rank=2),
    )
    return Table("Values of L2", columns, tuple(_row(search, value) for value in search.values))


def _row(search: L2Search, value: L2Value) -> tuple[str, ...]:
    end = "" if value.converged else " (not converged)"
    return (
        f"{value.l2:.2e}",
        f"{100 * value.validation.accuracy:.2f}",
        f"{_bar(search, value)}{' chosen' * (value is search.chosen)}",
        f"{value.validation.loss:.4f}",
        f"{100 * value.train.accuracy:.2f}",
        f"{value.train.loss:.4f}",
        f"{value.gradient_norm:.1e}{end}",
        f"{value.iterations}",
    )


def _bar(search: L2Search, value: L2Value) -> str:
    correct = [row.validation.correct for row in search.values]
    span = max(correct) - min(correct) or 1
    return "█" * (1 + round((_BAR - 1) * (value.validation.correct - min(correct)) / span))
