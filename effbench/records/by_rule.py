"""A run as another rule than its recipe's would report it; for readers, and never stored."""

from __future__ import annotations

from dataclasses import dataclass, fields

from effbench.records import caveats
from effbench.records.prediction_arrays import prefixed
from effbench.records.record import RunResult
from effbench.records.scores import Selected


@dataclass(frozen=True)
class RunByRule(RunResult):
    """A finished run of which `rule` chooses the epoch.

    Records from before the predictions of other epochs were kept have the counts of that epoch, but
    not what was said of each image.
    """

    rule: str = ""

    @property
    def marks(self) -> dict[str, str]:
        """The marks of the run, and that of the other rule."""
        return super().marks | {caveats.ANOTHER_RULE: self.rule}

    @property
    def has_predictions(self) -> bool:
        """Whether the run has kept the predictions of the epoch that is reported."""
        kept = self.predictions.epochs or (self._of_recipe.epoch,)
        return self.reported.epoch in kept

    def array(self, name: str) -> str:
        """What the file of predictions calls an array of the epoch that is reported."""
        prefix = self.reported.prefix
        return name if prefix == self._of_recipe.prefix else prefixed(prefix, name)

    @property
    def _of_recipe(self) -> Selected:
        return next(row for row in self.selected if row.rule == self.spec.recipe.selection)


def by_rule(result: RunResult, rule: str) -> RunResult | None:
    """A run as a rule of `scores.SELECTIONS` would report it; None if it was not scored by it.

    A run of the recipe's own rule stays as it is, and so does one without epochs to choose from.
    """
    if rule == result.rule or not result.spec.recipe.way.every_rule:
        return result
    scored = any(row.rule == rule for row in result.selected)
    if not scored:
        return None
    values = {field.name: getattr(result, field.name) for field in fields(RunResult)}
    return RunByRule(**values | {"turns": result.other_turns.get(rule, ())}, rule=rule)
