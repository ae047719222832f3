"""Other numbers for a recipe: what `--set key=value` and the flags of a sweep make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from effbench.config.recipe_numbers import Recipe
from effbench.errors import UsageError

# What else a setting may call a field.
SHORT_NAMES = {"learning_rate": "maximal_learning_rate"}

# The fields that a sweep has a flag for.
FLAGS = {"epochs": "--epochs", "batch_size": "--batch-size", "start_step": "--start-step"}

# They are 0 where a way to train has none of them, but not on request.
_NEVER_0 = {
    "epochs": "input should be greater than or equal to 1",
    "batch_size": "input should be greater than or equal to 1",
    "maximal_learning_rate": "input should be greater than 0",
}

_ADAPTER = TypeAdapter(Recipe)


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """`recipe` with some numbers replaced.

    Args:
        recipe: to start from.
        settings: "key=value" each; a key is a field of `Recipe` that its training depends on, or
            one of `SHORT_NAMES`.

    Raises:
        UsageError: no such key, one that is there twice, or a value that it cannot have.
    """
    numbers = asdict(recipe)
    given: dict[str, str] = {}
    for setting in settings:
        key, (_, equals, text) = key_of(setting), setting.partition("=")
        if key not in recipe.settable or not equals:
            rule = f"{recipe.name} has no such key to --set" if equals else "--set takes key=value"
            raise UsageError(rule, setting, f"keys are {', '.join(recipe.settable)}")
        if key in given:
            hint = "give it once, by --set or by its own flag"
            name = setting.partition("=")[0]
            raise UsageError(f"{name} is given twice", f"{given[key]} and {text}", hint)
        given[key] = text
        numbers[key] = value_of(recipe, setting)
    result = Recipe(**numbers)
    _agree(result)
    return result


def key_of(setting: str) -> str:
    """The field of `Recipe` that a text "key=value" is about, by its short name or its own."""
    key = setting.partition("=")[0]
    return SHORT_NAMES.get(key, key)


def value_of(recipe: Recipe, setting: str) -> object:
    """What a text "key=value" makes of its field, in which the rest of the recipe has no part.

    Raises:
        UsageError: the field cannot have such a value.
    """
    key, (name, _, text) = key_of(setting), setting.partition("=")
    rule = f"--set {name} takes another value"
    try:
        value: object = getattr(_ADAPTER.validate_python(asdict(recipe) | {key: text}), key)
    except ValidationError as error:
        raise UsageError(rule, text, error.errors()[0]["msg"].lower()) from error
    if key in _NEVER_0 and not value:
        raise UsageError(rule, text, _NEVER_0[key])
    return value


def _agree(recipe: Recipe) -> None:
    """Makes sure that the numbers of a recipe suit one another.

    Raises:
        UsageError: they do not.
    """
    if recipe.schedule == "triangular2" and not recipe.half_cycle_epochs:
        hint = "add --set half_cycle_epochs=2, as in the case study"
        raise UsageError("the schedule triangular2 goes up for one epoch at least", "0", hint)
    rising = recipe.l2_from < recipe.l2_to
    if recipe.l2_from > recipe.l2_to or rising != (recipe.l2_values > 1):
        raise UsageError(
            "a grid of L2 goes up from l2_from to l2_to; of one value, both are that value",
            f"{recipe.l2_values} from {recipe.l2_from:g} to {recipe.l2_to:g}",
            "set all three, e.g. --set l2_from=1e-2 --set l2_to=1e3 --set l2_values=21",
        )
