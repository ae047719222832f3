"""Every number of the case study, as FACTS.md section 2 gives it."""

from dataclasses import asdict

import pytest

from effbench import recipes
from effbench.errors import UsageError
from effbench.recipes import RECIPES
from effbench.runs import SELECTIONS

NUMBERS = {
    "epochs": 25,
    "batch_size": 16 * 8,
    "dropout": 0.1,
    "optimizer": "adabelief",
    "weight_decay": 1e-5,
    "initial_learning_rate": 1e-4,
    "maximal_learning_rate": 5e-2,
    "half_cycle_epochs": 2,
    "start_step": 0,
    "selection": "val_loss",
}


@pytest.mark.parametrize(
    ("name", "preprocessing"), [("case-study", "weights"), ("case-study-2021", "notebook-2021")]
)
def test_every_number_of_the_case_study(name, preprocessing):
    recipe = recipes.get(name)
    assert asdict(recipe) == {"name": name, "preprocessing": preprocessing, **NUMBERS}


def test_rows_are_named_by_themselves_and_select_by_a_known_rule():
    assert {"case-study", "case-study-2021"} <= set(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.selection in SELECTIONS


def test_an_unknown_recipe_is_refused_with_the_choice():
    with pytest.raises(UsageError, match="unknown recipe: casestudy; choose from case-study, "):
        recipes.get("casestudy")
