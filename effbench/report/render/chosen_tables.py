"""What a run without a learning curve has instead: values of L2, or turns of a cross-validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from effbench.records import describe
from effbench.records.l2_search import L2Value
from effbench.records.record import RunResult, Turn
from effbench.tables import Column, Table

# Characters of the longest bar.
_BAR = 14


def tables(result: RunResult) -> Iterator[Table]:
    """The table of a run; none of a run with a learning curve."""
    if search := result.l2_search:
        judged = f"{search.folds}-fold" if search.folds else "val"
        yield _of_values("Values of L2", judged, search.values, {search.chosen.l2: "chosen"})
    if result.l2_curve:
        caption = "Values of L2, the images of all folds together"
        yield _of_values(caption, "val", result.l2_curve, describe.choices(result))
    if result.turns:
        yield _of_turns(result.turns)


def _of_turns(turns: Sequence[Turn]) -> Table:
    """A row for each turn; accuracies are percent."""
    columns = (
        Column("fold", words=True),
        Column("L2" if turns[0].epoch == 0 else "epoch"),
        Column("test images"),
        Column("test top-1, %"),
        Column("test loss"),
        Column("val top-1, %"),
        Column("train top-1, %", rank=1),
        Column("train images", rank=2),
    )
    rows = (
        (
            f"{number}",
            f"{turn.epoch}" if turn.l2 is None else f"{turn.l2:.2e}",
            f"{turn.test.total:,}",
            f"{100 * turn.test.accuracy:.2f}",
            f"{turn.test.loss:.4f}",
            f"{100 * turn.validation.accuracy:.2f}",
            f"{100 * turn.train.accuracy:.2f}",
            f"{turn.train.total:,}",
        )
        for number, turn in enumerate(turns, 1)
    )
    return Table("Folds, each tested by a head that trained without it", columns, tuple(rows))


def _of_values(
    caption: str, judged: str, values: Sequence[L2Value], choices: Mapping[float, str]
) -> Table:
    """A row for each L2, the strongest first; accuracies are percent.

    Bars show the accuracy that chose, from the lowest to the highest; behind them stands which were
    chosen.

    Args:
        caption: of the table.
        judged: what a column calls the images that chose.
        values: the rows.
        choices: what is said of an L2 that was chosen.
    """
    columns = (
        Column("L2", words=True),
        Column(f"{judged} top-1, %"),
        Column("", words=True),
        Column(f"{judged} loss"),
        Column("top-1, %"),
        Column("loss"),
        Column(f"{judged} images", rank=3),
        Column("gradient", rank=1),
        Column("iterations", rank=2),
    )
    accuracies = [value.validation.accuracy for value in values]
    low, span = min(accuracies), max(accuracies) - min(accuracies) or 1
    rows = []
    for value in values:
        bar = "█" * (1 + round((_BAR - 1) * (value.validation.accuracy - low) / span))
        end = "" if value.converged else " (not converged)"
        rows.append(
            (
                f"{value.l2:.2e}",
                f"{100 * value.validation.accuracy:.2f}",
                f"{bar} {choices.get(value.l2, '')}".rstrip(),
                f"{value.validation.loss:.4f}",
                f"{100 * value.train.accuracy:.2f}",
                f"{value.train.loss:.4f}",
                f"{value.validation.total:,}",
                f"{value.gradient_norm:.1e}{end}",
                f"{value.iterations}",
            )
        )
    return Table(caption, columns, tuple(rows))
