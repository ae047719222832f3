"""How a regression's L2 was chosen from its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Len

from effbench.records.scores import Scores, summed


@dataclass(frozen=True, slots=True)
class L2Value:
    """The solution of a regression for one L2.

    Attributes:
        l2: in the scaling of `logistic_regression`.
        train: scores of the training images, by the heads that were trained on them.
        validation: scores of the validation images. In a cross-validation, those of training and
            validation images, each by the head that was trained without its fold.
        gradient_norm: as in `logistic_regression.Solution`; likewise the others.
        iterations: of L-BFGS.
        converged: whether it came to the end, in every fold.
    """

    l2: float
    train: Scores
    validation: Scores
    gradient_norm: float
    iterations: int
    converged: bool


# Values of L2, two decades of the usual grid, that have to be worse than others for a grid to end.
PAST = 8


@dataclass(frozen=True)
class L2Search:
    """How a regression's L2 was chosen.

    Attributes:
        values: the grid, the strongest first; it ends early where the weaker ones are `past` use.
        folds: of the cross-validation that chose it; 0 where the validation images did.
    """

    values: Annotated[tuple[L2Value, ...], Len(1)]
    folds: int = 0

    @property
    def chosen(self) -> L2Value:
        """The most accurate one, and of equals the strongest."""
        return max(self.values, key=lambda value: value.validation.correct)

    @property
    def rising(self) -> bool:
        """Whether the last values are of no use: the loss rises, and none is the most accurate.

        The validation loss has risen from each of the last values to the next, and none of them is
        as accurate as the best.
        """
        last = self.values[-PAST:]
        losses = [value.validation.loss for value in last]
        rising = len(self.values) > PAST and losses == sorted(losses)
        best = self.chosen.validation.correct
        return rising and all(value.validation.correct < best for value in last)

    @property
    def past(self) -> bool:
        """Whether weaker L2 would only fit the training images better.

        The last values are `rising`, after the loss had fallen. Where it rises from the strongest
        on, as for features that tell little, what is best may be still to come.
        """
        losses = [value.validation.loss for value in self.values]
        return self.rising and min(losses) < losses[0]

    @property
    def unsolved(self) -> str:
        """For how many L2 the regression ended too early; "" where that can change nothing.

        It can where one of them was chosen, or is as accurate as the one that was.
        """
        left = [value for value in self.values if not value.converged]
        best = self.chosen.validation.correct
        if all(value.validation.correct < best for value in left):
            return ""
        too = "" if self.chosen.converged else ", the chosen one too"
        return f"{len(left)} of {len(self.values)} values of L2{too}"

    @property
    def undecided(self) -> str:
        """How many L2 are as accurate as the strongest of all, where that was chosen; else ""."""
        best = self.chosen.validation.correct
        alike = sum(value.validation.correct == best for value in self.values)
        chosen_first = self.chosen is self.values[0] and alike > 1
        return f"{alike} of {len(self.values)} are as accurate" if chosen_first else ""

    @property
    def open_ended(self) -> str:
        """Of how many L2 the weakest one was chosen, so that the best is to come; else ""."""
        weakest = self.chosen is self.values[-1] and len(self.values) > 1
        return f"{self.chosen.l2:.2g}, of {len(self.values)}" if weakest else ""


def together(searches: Sequence[L2Search]) -> tuple[L2Value, ...]:
    """The searches of several folds as one curve, the strongest L2 first.

    The scores of an L2 are those of the images of all folds that solved it: of all but those whose
    grid had ended before. Its gradient norm is the largest of them.
    """
    solved: dict[float, list[L2Value]] = {}
    for search in searches:
        for value in search.values:
            solved.setdefault(value.l2, []).append(value)
    return tuple(
        L2Value(
            l2,
            summed([value.train for value in values]),
            summed([value.validation for value in values]),
            max(value.gradient_norm for value in values),
            sum(value.iterations for value in values),
            all(value.converged for value in values),
        )
        for l2, values in sorted(solved.items(), reverse=True)
    )
