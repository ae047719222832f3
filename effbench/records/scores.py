"""Scores of images: of an epoch, and of the weights that a rule chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# The rule that takes the last epoch, however good it is.
LAST = "final"
# How an epoch is chosen from a history: the lowest of this, the first of equals.
SELECTIONS: Mapping[str, Callable[[Epoch], float]] = {
    "val_loss": lambda row: row.validation.loss,
    "val_accuracy": lambda row: -row.validation.correct,
    LAST: lambda row: -row.epoch,
}


# With slots, because a record holds dozens: a thousand records load in two thirds of the time.
@dataclass(frozen=True, slots=True)
class Scores:
    """Exact counts over a set of images, and the mean cross-entropy in nats."""

    correct: int
    top5_correct: int
    total: int
    loss: float

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.top5_correct <= self.total or self.total == 0:
            raise ValueError(f"impossible counts: {self}")

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, 0 to 1."""
        return self.correct / self.total

    @property
    def top5_accuracy(self) -> float:
        """Top-5 accuracy, 0 to 1."""
        return self.top5_correct / self.total


def summed(parts: Sequence[Scores]) -> Scores:
    """The scores of the images of all parts together."""
    total = sum(part.total for part in parts)
    return Scores(
        sum(part.correct for part in parts),
        sum(part.top5_correct for part in parts),
        total,
        sum(part.loss * part.total for part in parts) / total,
    )


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: training as Keras counts it (running, dropout on), validation after it.

    `learning_rate` is that of the epoch's last step.
    """

    epoch: int
    learning_rate: float
    train: Scores
    validation: Scores


@dataclass(frozen=True)
class Selected:
    """The scores of one epoch's weights, chosen by `rule` (a name in `SELECTIONS`).

    `epoch` is 0 where there are none and the rule chooses an L2, and in a cross-validation, where
    each turn has its own. `test` is None where the data have
    no test images.
    """

    rule: str
    epoch: int
    validation: Scores
    test: Scores | None

    @property
    def prefix(self) -> str:
        """How predictions call arrays of it where they are not those of the recipe's rule.

        By its epoch, or by the rule where each fold has an epoch of its own.
        """
        return f"epoch{self.epoch}" if self.epoch else self.rule.replace("_", "-")

    @property
    def splits(self) -> dict[str, Scores]:
        """The scores of validation, and of test if there is one, by these names."""
        named = {"validation": self.validation, "test": self.test}
        return {name: scores for name, scores in named.items() if scores is not None}

    @property
    def judged(self) -> Scores:
        """The scores that a run is judged by: of the test images, or else of validation."""
        return self.test or self.validation
