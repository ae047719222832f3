"""Every number of the case study, as FACTS.md section 2 gives it."""

from dataclasses import MISSING, asdict, fields, replace

import pytest
from pydantic import TypeAdapter

from effbench.config import recipe_settings, recipes
from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.errors import UsageError
from effbench.records.scores import SELECTIONS

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
    plain = {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}
    expected = {"name": name, "preprocessing": preprocessing, **NUMBERS}
    assert asdict(recipe) == plain | expected


# google/automl, efficientnetv2: datasets.py (ImagenetFt, Cifar10Ft), utils.py, preprocessing.py.
FINETUNE = {
    "batch_size": 512,
    "steps": 10_000,
    "optimizer": "rmsprop",
    "schedule": "constant",
    "maximal_learning_rate": 0.0005,
    "learning_rate_batch": 256,
    "warmup_epochs": 1,
    "weight_decay": 1e-5,
    "label_smoothing": 0.1,
    "dropout": 1e-6,
    "survival": 0.8,
    "ema_decay": 0.9996,
    "flip": True,
    "cutout": 0.25,
    "randaugment": 0,
    "mixup": 0,
    "trains": "network",
    "preprocessing": "weights",
    "selection": "final",
}


def test_every_number_of_the_transfer_recipe():
    found = asdict(recipes.get("finetune"))
    assert {name: found[name] for name in FINETUNE} == FINETUNE
    assert found["epochs"] * (45_000 // 512) >= found["steps"]


def test_the_case_study_with_the_whole_network_differs_in_that_alone():
    head, network = (recipes.get(name) for name in ("case-study", "finetune-adabelief"))
    assert replace(head, name=network.name, trains="network") == network


def test_every_number_of_the_linear_probe():
    """Kornblith, Shlens and Le 2019: no augmentation, no epochs, 45 values of L2."""
    found = recipes.get("linear-probe")
    grid = (found.l2_from, found.l2_to, found.l2_values)
    assert (*grid, found.standardize) == (1e-6, 1e5, 45, False)
    assert (found.trains, found.selection) == ("regression", "val_accuracy")
    assert (found.epochs, found.batch_size, found.dropout, found.weight_decay) == (0, 0, 0, 0)
    assert found.way.seeded is False


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            ["l2_values=0"],
            "--set l2_values takes another value: 0; input should be greater than or",
        ),
        (["l2_from=-1"], "--set l2_from takes another value: -1; input should be greater than 0"),
        (["l2_from=0"], "--set l2_from takes another value: 0; input should be greater than 0"),
        (["l2_to=inf"], "--set l2_to takes another value: inf; input should be less than inf"),
        (
            ["l2_from=10", "l2_to=1"],
            "a grid of L2 goes up from l2_from to l2_to; of one value, both",
        ),
        (
            ["l2_values=1"],
            "a grid of L2 goes up from l2_from to l2_to; of one value, both are that",
        ),
        (
            ["l2_from=1", "l2_to=1"],
            "a grid of L2 goes up from l2_from to l2_to; of one value, both",
        ),
        (["epochs=3"], "linear-probe has no such key to --set: epochs=3; keys are preprocessing, "),
        (["dropout=0.1"], "linear-probe has no such key to --set: dropout=0.1; keys are "),
    ],
)
def test_a_grid_of_l2_is_one_or_is_refused(settings, line):
    with pytest.raises(UsageError) as error:
        recipe_settings.changed(recipes.get("linear-probe"), settings)
    assert str(error.value).startswith(line)
    assert recipe_settings.changed(
        recipes.get("linear-probe"), ["l2_from=2", "l2_to=2", "l2_values=1", "standardize=yes"]
    ).standardize


# mosaicml/composer, models/efficientnetb0: README.md, efficientnets.py, efficientnetb0.yaml; and
# torchvision's RandomResizedCrop.
COMPOSER = {
    "epochs": 400,
    "batch_size": 4096,
    "learning_rate_batch": 4096,
    "optimizer": "rmsprop-torch",
    "maximal_learning_rate": 0.08,
    "momentum": 0.9,
    "rho": 0.9,
    "epsilon": 0.01,
    "weight_decay": 1e-5,
    "decay_all": True,
    "schedule": "cosine",
    "warmup_epochs": 16,
    "initial_learning_rate": 0,
    "norm_momentum": 1 - 0.1,
    "norm_epsilon": 1e-5,
    "survival": 1 - 0.2,
    "dropout": 0.2,
    "label_smoothing": 0.1,
    "ema_decay": 0,
    "flip": True,
    "crop_scale": 0.08,
    "randaugment": 0,
    "mixup": 0,
    "stages": 1,
    "trains": "network",
    "pretrained": False,
    "preprocessing": "torch",
}


def test_every_number_of_composers_efficientnet():
    recipe = asdict(recipes.resolved("composer", "V1-B0"))
    assert {name: recipe[name] for name in COMPOSER} == COMPOSER


def test_new_numbers_change_no_key_of_older_runs():
    """A field at its default is left out of a key."""
    for name in RECIPES.keys() - {"composer"}:
        recipe = recipes.get(name)
        assert (recipe.decay_all, recipe.norm_momentum, recipe.norm_epsilon) == (False, None, None)


def test_scratch_is_progressive_from_random_weights():
    for variant in VARIANTS:
        trained, random = (recipes.resolved(name, variant) for name in ("progressive", "scratch"))
        assert replace(trained, name="scratch", pretrained=False) == random


# The paper's table 6; the sizes of google/automl's first and last stage.
@pytest.mark.parametrize(
    ("variant", "first", "last", "dropout", "randaugment", "mixup"),
    [
        ("B0", 144, 192, 0.3, 15, 0),
        ("B1", 144, 192, 0.3, 15, 0),
        ("B2", 148, 208, 0.3, 15, 0),
        ("B3", 156, 240, 0.3, 15, 0),
        ("S", 171, 300, 0.3, 15, 0),
        ("M", 192, 384, 0.4, 20, 0.2),
        ("L", 192, 384, 0.5, 25, 0.5),
        ("XL", 192, 384, 0.5, 25, 0.5),
    ],
)
def test_progressive_learning_by_variant(variant, first, last, dropout, randaugment, mixup):
    recipe = recipes.resolved("progressive", variant)
    assert recipe.stages == 4
    assert recipe.first_size * last == pytest.approx(first)
    assert (recipe.first_dropout, recipe.dropout) == (0.1, dropout)
    assert (recipe.first_randaugment, recipe.randaugment) == (5, randaugment)
    assert (recipe.first_mixup, recipe.mixup) == (0, mixup)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_the_same_after_json(name):
    """Down to the type of each number: 1 and 1.0 would give a run two keys."""
    adapter = TypeAdapter(Recipe)
    for variant in VARIANTS:
        recipe = recipes.resolved(name, variant)
        again = adapter.validate_json(adapter.dump_json(recipe))
        assert repr(again) == repr(recipe)


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("steps=40", "steps", 40),
        ("maximal_learning_rate=1e-3", "maximal_learning_rate", 1e-3),
        ("mixup=1", "mixup", 1.0),
        ("flip=no", "flip", False),
        ("optimizer=adabelief", "optimizer", "adabelief"),
    ],
)
def test_any_number_can_be_set(setting, field, value):
    recipe = recipes.get("finetune")
    found = recipe_settings.changed(recipe, [setting])
    assert repr(getattr(found, field)) == repr(value)
    assert replace(found, **{field: getattr(recipe, field)}) == recipe


def test_settings_add_up():
    found = recipe_settings.changed(recipes.get("finetune"), ["epochs=3", "crop=4"])
    assert (found.epochs, found.crop) == (3, 4)


def test_a_key_is_set_once():
    with pytest.raises(UsageError, match=r"^epochs is given twice: 3 and 5; give it once"):
        recipe_settings.changed(recipes.get("finetune"), ["epochs=3", "crop=4", "epochs=5"])


def test_a_triangle_needs_a_side():
    with pytest.raises(UsageError, match="triangular2 goes up for one epoch at least: 0;"):
        recipe_settings.changed(recipes.get("case-study"), ["half_cycle_epochs=0"])
    with pytest.raises(UsageError, match="--set half_cycle_epochs=2"):
        recipe_settings.changed(recipes.get("finetune"), ["schedule=triangular2"])


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("epoch=3", "finetune has no such key to --set: epoch=3; keys are preprocessing, epochs, "),
        ("epochs", "--set takes key=value: epochs; keys are "),
        ("name=mine", "finetune has no such key to --set: name=mine; keys are "),
        ("trains=head", "finetune has no such key to --set: trains=head; keys are "),
        ("batch_size=0", "--set batch_size takes another value: 0; input should be greater than"),
        ("maximal_learning_rate=0", "--set maximal_learning_rate takes another value: 0; input "),
        ("l2_values=3", "finetune has no such key to --set: l2_values=3; keys are "),
        ("epochs=0", "--set epochs takes another value: 0; input should be greater than or equal"),
        ("epochs=2.5", "--set epochs takes another value: 2.5; input should be a valid integer"),
        ("dropout=1", "--set dropout takes another value: 1; input should be less than"),
        ("mixup=nan", "--set mixup takes another value: nan; input should be "),
        ("maximal_learning_rate=inf", "--set maximal_learning_rate takes another value: inf; "),
        ("dropout=", "--set dropout takes another value: nothing; input should be a valid number"),
        ("learning_rate=inf", "--set learning_rate takes another value: inf; "),
        ("flip=perhaps", "--set flip takes another value: perhaps; input should be a valid bool"),
    ],
)
def test_a_wrong_setting_is_refused(setting, line):
    with pytest.raises(UsageError) as error:
        recipe_settings.changed(recipes.get("finetune"), [setting])
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    "setting",
    ["mixup=0.2", "flip=yes", "ema_decay=0.9", "stages=2", "steps=9", "optimizer=rmsprop"],
)
def test_a_head_takes_no_number_that_its_training_ignores(setting):
    with pytest.raises(UsageError, match=r"^case-study has no such key to --set: "):
        recipe_settings.changed(recipes.get("case-study"), [setting])
    assert (
        recipe_settings.changed(recipes.get("case-study"), ["weight_decay=0.5"]).weight_decay == 0.5
    )


def test_rows_are_named_by_themselves_and_select_by_a_known_rule():
    assert {"case-study", "case-study-2021"} <= set(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.selection in SELECTIONS


def test_an_unknown_recipe_is_refused_with_the_choice():
    with pytest.raises(UsageError, match="unknown recipe: casestudy; choose from linear-probe, "):
        recipes.get("casestudy")
