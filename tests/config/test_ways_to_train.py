"""Two tables hold all that differs between the ways to train; nothing else asks which it is."""

import ast
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

import effbench
from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES
from effbench.config.ways_to_train import WAYS, AllBut

PACKAGE = Path(effbench.__file__).parent
# Where the name of a way is looked up: once for its facts, once for what needs TensorFlow.
TABLES = {"config/recipe_numbers.py", "training/methods.py"}


def test_nothing_but_the_tables_reads_which_way_it_is():
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "trains"
    }
    assert readers == TABLES


def test_every_way_can_be_carried_out():
    from effbench.training.methods import METHODS

    assert list(METHODS) == list(WAYS)


def test_every_way_has_a_recipe_and_reads_numbers_that_there_are():
    recipes = {recipe.way.trained: recipe for recipe in RECIPES.values()}
    assert recipes.keys() == {way.trained for way in WAYS.values()}
    for recipe in recipes.values():
        numbers = recipe.way.numbers
        named = numbers.names if isinstance(numbers, AllBut) else numbers
        assert named <= {field.name for field in fields(Recipe)}
        assert isinstance(numbers, AllBut) or named == set(recipe.settable)
        assert not {"name", "trains", "pretrained"} & set(recipe.settable)


def test_only_a_regression_has_a_grid_of_l2():
    for recipe in RECIPES.values():
        grid = {"l2_from", "l2_to", "l2_values", "standardize"} & set(recipe.settable)
        assert bool(grid) == (recipe.name == "linear-probe")


def test_a_record_of_an_unknown_way_is_refused():
    adapter = TypeAdapter(Recipe)
    strange = replace(RECIPES["finetune"], trains="tail")
    with pytest.raises(ValidationError, match="trains"):
        adapter.validate_json(adapter.dump_json(strange))
