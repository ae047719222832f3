"""Lists of values: what they are the product of, what is refused, which runs belong together."""

from dataclasses import replace

import pytest
from support.records import spec

from effbench.config import recipe_settings, searches
from effbench.config.recipes import RECIPES
from effbench.errors import UsageError

FINETUNE = RECIPES["finetune"]


def test_several_lists_make_the_product():
    settings = ["learning_rate=1e-4, 3e-4", "flip=no", "dropout=0,0.1,0.2"]
    chosen = searches.combinations(FINETUNE, settings)
    made = [recipe_settings.changed(FINETUNE, choice) for choice in chosen]
    pairs = [(recipe.maximal_learning_rate, recipe.dropout) for recipe in made]
    assert pairs == [(rate, drop) for rate in (1e-4, 3e-4) for drop in (0, 0.1, 0.2)]
    assert not any(recipe.flip for recipe in made)
    # In the order of the recipe, however they were given.
    assert searches.searched(settings) == ("dropout", "maximal_learning_rate")


def test_without_a_list_there_is_one_choice_and_no_search():
    assert searches.combinations(FINETUNE, ["dropout=0.1"]) == [("dropout=0.1",)]
    assert searches.combinations(FINETUNE, []) == [()]
    assert searches.searched(["dropout=0.1"]) == ()


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("learning_rate=1e-4,,1", "a list has a value between any two commas: learning_rate=1e-4"),
        ("learning_rate=1e-4,", "a list has a value between any two commas: learning_rate=1e-4,;"),
        ("learning_rate=1e-4,0.0001", "--set learning_rate has a value twice: 1e-4 and 0.0001"),
        ("learning_rate=1e-4,x", "--set learning_rate takes another value: x; input should be"),
        ("selection=final,val_loss", "--set selection takes one value: final,val_loss; every rule"),
        ("epochs=3,5", "--set epochs takes one value: 3,5; how long a training is is not searched"),
    ],
)
def test_what_is_no_list_is_refused(setting, line):
    with pytest.raises(UsageError) as error:
        searches.combinations(FINETUNE, [setting])
    assert str(error.value).startswith(line)


def test_too_many_values_are_refused_with_their_number():
    settings = [f"dropout={','.join(f'0.{n:02}' for n in range(30))}", "learning_rate=1,2,3,4"]
    with pytest.raises(UsageError, match=r"100 times at most: 30 x 4 = 120; give shorter lists"):
        searches.combinations(FINETUNE, settings)


def test_a_search_holds_the_runs_that_differ_in_its_numbers_alone():
    one = spec(recipe=FINETUNE)
    search = searches.of(one, ["maximal_learning_rate"])
    other = replace(one, recipe=replace(FINETUNE, maximal_learning_rate=1e-4), seed=3)
    assert search.holds(one)
    assert search.holds(other)
    assert one.group != other.group
    for stranger in (
        replace(one, recipe=replace(FINETUNE, dropout=0.1)),
        replace(one, image_size=96),
        replace(one, limit=100),
        spec(variant="B1", recipe=FINETUNE),
    ):
        assert not search.holds(stranger)
    assert searches.of(one, ["maximal_learning_rate", "dropout"]).key != search.key
