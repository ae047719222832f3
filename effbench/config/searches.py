"""Searches: several values of a recipe's numbers, of which the validation images choose the best.

A run of a search is a run like any other: its key is the one that it has if it is asked for alone,
so that what ran before the search, or is added later, is one of its values too. What was searched
is therefore no part of a run, nor of its record. Nor does it follow from the runs: two rows that
differ in a number may have been made to be compared. It is kept beside them, see `search_files`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product

from effbench.config import recipe_settings
from effbench.config.recipe_numbers import Recipe
from effbench.config.run_spec import RunSpec
from effbench.errors import UsageError

# Nobody means to wait for more trainings of one network than this.
MOST = 100

_LENGTH = "how long a training is is not searched: tables keep fewer epochs apart"
_GRID = "the regression tries a whole grid of L2 by itself"
# Numbers of which a list makes no sense, and why.
NEVER: Mapping[str, str] = {
    "selection": "every rule leaves its scores; 'effbench report --select' shows them",
    "epochs": _LENGTH,
    "steps": _LENGTH,
    **dict.fromkeys(("l2_from", "l2_to", "l2_values"), _GRID),
}


@dataclass(frozen=True)
class Search:
    """Runs that differ in some numbers of their recipe, and in their seeds, alone.

    Attributes:
        key: what all of them share, see `RunSpec.apart_from`.
        numbers: fields of `Recipe`, in its order.
    """

    key: str
    numbers: tuple[str, ...]

    def holds(self, spec: RunSpec) -> bool:
        """Whether a run is one of them."""
        return spec.apart_from(self.numbers) == self.key


def of(spec: RunSpec, numbers: Sequence[str]) -> Search:
    """The search that a run is part of."""
    ordered = in_order(numbers)
    return Search(spec.apart_from(ordered), ordered)


def in_order(numbers: Sequence[str]) -> tuple[str, ...]:
    """Fields of `Recipe` in its order, each once."""
    return tuple(field.name for field in fields(Recipe) if field.name in numbers)


def searched(settings: Sequence[str]) -> tuple[str, ...]:
    """The fields of `Recipe` that have several values in texts "key=value,value"."""
    return in_order([recipe_settings.key_of(text) for text in settings if "," in text])


def combinations(recipe: Recipe, settings: Sequence[str]) -> list[tuple[str, ...]]:
    """Every choice of one value for each key: the product of all lists.

    Args:
        recipe: the recipe as its row has it.
        settings: texts "key=value" or "key=value,value".

    Raises:
        UsageError: a list makes no sense, has a gap, or names a value twice; there are too many.
    """
    values = [_values(setting) for setting in settings]
    chosen = [*product(*values)]
    if len(chosen) > MOST:
        counts = " x ".join(str(len(several)) for several in values if len(several) > 1)
        rule = f"a search trains a network {MOST} times at most"
        raise UsageError(rule, f"{counts} = {len(chosen):,}", "give shorter lists")
    for several in values:
        _differ(recipe, several)
    return chosen


def _values(setting: str) -> list[str]:
    """A text "key=value" for each value of a list."""
    name, equals, text = setting.partition("=")
    if "," not in text:
        return [setting]
    if why := NEVER.get(recipe_settings.key_of(setting)):
        raise UsageError(f"--set {name} takes one value", text, why)
    several = [value.strip() for value in text.split(",")]
    if not all(several):
        rule = "a list has a value between any two commas"
        raise UsageError(rule, setting, "write e.g. learning_rate=1e-4,1e-3")
    return [f"{name}{equals}{value}" for value in several]


def _differ(recipe: Recipe, several: Sequence[str]) -> None:
    """Makes sure that no value is there twice, however it is written.

    Keys that the recipe has not are refused where they are set.

    Raises:
        UsageError: one is.
    """
    if len(several) == 1 or recipe_settings.key_of(several[0]) not in recipe.settable:
        return
    known: dict[object, str] = {}
    for setting in several:
        name, _, text = setting.partition("=")
        value = recipe_settings.value_of(recipe, setting)
        if value in known:
            received = f"{known[value]} and {text}"
            raise UsageError(f"--set {name} has a value twice", received, "name each once")
        known[value] = text
