"""Recipes, as rows of a table. A new recipe is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from effbench.config.recipe_numbers import Recipe
from effbench.errors import UsageError


def _case_study(name: str, preprocessing: str) -> Recipe:
    return Recipe(
        name=name,
        preprocessing=preprocessing,
        epochs=25,
        batch_size=128,  # 16 x the 8 cores of a TPU v2-8
        dropout=0.1,
        optimizer="adabelief",
        weight_decay=1e-5,
        initial_learning_rate=1e-4,
        maximal_learning_rate=5e-2,
        half_cycle_epochs=2,
        start_step=0,
        selection="val_loss",
    )


_CASE_STUDY = _case_study("case-study", "weights")

# Kornblith, Shlens and Le 2019, "Do Better ImageNet Models Transfer Better?": the field's standard
# for comparing networks by their features. The 45 values of L2 are theirs.
_LINEAR_PROBE = Recipe(
    name="linear-probe",
    preprocessing="weights",
    epochs=0,
    batch_size=0,
    dropout=0.0,
    optimizer="lbfgs",
    weight_decay=0.0,
    initial_learning_rate=0.0,
    maximal_learning_rate=0.0,
    half_cycle_epochs=0,
    start_step=0,
    selection="val_accuracy",
    trains="regression",
    schedule="constant",
)

# google/automl, efficientnetv2/datasets.py, Cifar10Ft: the same for every variant.
_FINETUNE = Recipe(
    name="finetune",
    preprocessing="weights",
    epochs=115,  # a few more than the steps take of 45,000 images
    steps=10_000,
    batch_size=512,
    dropout=1e-6,
    optimizer="rmsprop",
    weight_decay=1e-5,
    initial_learning_rate=0.0,
    maximal_learning_rate=0.0005,
    learning_rate_batch=256,
    schedule="constant",
    half_cycle_epochs=0,
    warmup_epochs=1.0,
    start_step=0,
    selection="final",
    trains="network",
    label_smoothing=0.1,
    survival=0.8,
    ema_decay=0.9996,
    flip=True,
    cutout=0.25,
)

# It trains as `finetune` does, but in stages. RandAugment and the first dropout are those of the
# paper (table 6) for S, M and L; the 36 epochs are those of leondgarse's run on CIFAR-10.
_PROGRESSIVE = replace(
    _FINETUNE,
    name="progressive",
    epochs=36,
    steps=None,
    cutout=0.0,
    stages=4,
    first_dropout=0.1,
    first_randaugment=5.0,
)

# MosaicML Composer, models/efficientnetb0: README.md, efficientnets.py and efficientnetb0.yaml.
_COMPOSER = Recipe(
    name="composer",
    preprocessing="torch",
    epochs=400,
    batch_size=4096,
    dropout=0.2,
    optimizer="rmsprop-torch",
    weight_decay=1e-5,
    initial_learning_rate=0.0,
    maximal_learning_rate=0.08,
    learning_rate_batch=4096,
    schedule="cosine",
    half_cycle_epochs=0,
    warmup_epochs=16.0,
    start_step=0,
    selection="final",
    trains="network",
    pretrained=False,
    epsilon=0.01,
    label_smoothing=0.1,
    survival=0.8,
    flip=True,
    crop_scale=0.08,
    decay_all=True,
    norm_momentum=0.9,  # PyTorch's 0.1
    norm_epsilon=1e-5,
)

RECIPES: Mapping[str, Recipe] = {
    row.name: row
    for row in (
        _LINEAR_PROBE,
        _CASE_STUDY,
        # As the notebook really ran in December 2021, with keras-efficientnet-v2 1.1.
        _case_study("case-study-2021", "notebook-2021"),
        _FINETUNE,
        # As the paper words it (section 4.3); automl's configuration says otherwise.
        replace(_FINETUNE, name="finetune-cosine", schedule="cosine", weight_decay=0.0),
        # The case study's own numbers, as its README reads: the network trains, not a head.
        replace(_CASE_STUDY, name="finetune-adabelief", trains="network"),
        _PROGRESSIVE,
        replace(_PROGRESSIVE, name="scratch", pretrained=False),
        _COMPOSER,
    )
}


@dataclass(frozen=True)
class Growth:
    """What progressive learning comes to for one variant: four fields of `Recipe`."""

    first_size: float
    dropout: float
    randaugment: float
    mixup: float


# First size: google/automl (first of four stages by training size), e.g. 171 of 300 for S. The
# rest: the paper's table 6, whose S also stands for the smaller networks (automl trains B0 to B3
# with another augmentation), and whose L for XL.
_GROWTH: Mapping[str, Growth] = {
    "B0": Growth(144 / 192, 0.3, 15.0, 0.0),
    "B1": Growth(144 / 192, 0.3, 15.0, 0.0),
    "B2": Growth(148 / 208, 0.3, 15.0, 0.0),
    "B3": Growth(156 / 240, 0.3, 15.0, 0.0),
    "S": Growth(171 / 300, 0.3, 15.0, 0.0),
    "M": Growth(192 / 384, 0.4, 20.0, 0.2),
    "L": Growth(192 / 384, 0.5, 25.0, 0.5),
    "XL": Growth(192 / 384, 0.5, 25.0, 0.5),
}
# Networks without published stages, such as T, have those of S.
_USUAL_GROWTH = _GROWTH["S"]


def get(name: str) -> Recipe:
    """The row called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in RECIPES:
        raise UsageError("unknown recipe", name, f"choose from {', '.join(RECIPES)}")
    return RECIPES[name]


def resolved(name: str, variant: str) -> Recipe:
    """The row called `name` with the numbers that it has for `variant`.

    Raises:
        UsageError: there is no such recipe.
    """
    recipe = get(name)
    if recipe.stages == 1:
        return recipe
    return replace(recipe, **asdict(_GROWTH.get(variant, _USUAL_GROWTH)))
