"""A name in a recipe that is in no table is refused with those that are."""

from dataclasses import replace

import pytest

from effbench.config.recipes import RECIPES
from effbench.errors import UsageError
from effbench.training import choices

RECIPE = RECIPES["finetune"]


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("optimizer", "adabelief, rmsprop, adamw, rmsprop-torch"),
        ("schedule", "triangular2, constant, cosine"),
        ("preprocessing", "weights, torch, tf, notebook-2021"),
        ("selection", "val_loss, val_accuracy, final"),
    ],
)
def test_an_unknown_name_is_refused_with_the_choice(field, known):
    line = f"--set {field} takes another value: sgd; choose from {known}"
    with pytest.raises(UsageError) as error:
        choices.check(replace(RECIPE, **{field: "sgd"}), RECIPE)
    assert str(error.value) == line
    for name in known.split(", "):
        choices.check(replace(RECIPE, **{field: name}), RECIPE)


def test_every_recipe_names_rows_that_there_are():
    nothing = replace(RECIPE, optimizer="", schedule="", preprocessing="", selection="")
    for recipe in RECIPES.values():
        # A regression has none, and calls what solves it by its name.
        unused = {"optimizer", "schedule"} - {*recipe.settable}
        kept = {name: getattr(recipe, name) for name in unused}
        choices.check(recipe, replace(nothing, **kept))
