"""Recipes: every number that training depends on. A new recipe is a new row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated

from annotated_types import Ge, Interval, Predicate
from pydantic import TypeAdapter, ValidationError

from effbench.config.batch_norm import BatchNorm
from effbench.config.geometry import Geometry
from effbench.config.network_stages import ALL
from effbench.config.ways_to_train import WAYS, WayToTrain
from effbench.errors import UsageError

Finite = Annotated[float, Interval(ge=0, lt=math.inf)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
Share = Annotated[float, Interval(ge=0, le=1)]
Decay = Annotated[float, Interval(ge=0, lt=1)]
# 255/256: `head_training.keep_mask` counts in bytes.
Rate = Annotated[float, Interval(ge=0, le=255 / 256)]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        name: name of the row.
        preprocessing: "weights" for what the loaded weights expect, or the name of a row of
            `preprocessing.PREPROCESSING` that is used for every variant.
        epochs: passes over the training images; 0 where there are none, as there is then no batch
            and no learning rate.
        batch_size: global batch, over all replicas.
        dropout: rate between pooling and the classifier; in the last stage, where there are stages.
        optimizer: name of a row of `optimizers.OPTIMIZERS`.
        weight_decay: as the optimizer's row applies it.
        initial_learning_rate: the schedule's lowest rate, where a cycle or the warm-up begins.
        maximal_learning_rate: its highest, in the first cycle or after the warm-up.
        half_cycle_epochs: of triangular2, epochs from the lowest to the highest; an epoch of a
            schedule is `training images // batch_size` steps, as the case study counted.
        start_step: the optimizer's step count at the first step of a run. The case study shared
            one optimizer between variants, so most of its runs did not start at 0.
        selection: which epoch's weights are reported, a name in `record.SELECTIONS`; without
            epochs, those of which L2.
        trains: name of a row of `ways_to_train.WAYS`: a "head" or a "regression" on a frozen
            backbone, or the whole "network".
        pretrained: False starts from random weights.
        schedule: name of a row of `optimizers.SCHEDULES`.
        warmup_epochs: of the constant and the cosine schedule, epochs of linear growth before it.
        learning_rate_batch: batch size that the learning rates are for; with another one they
            grow or shrink in proportion. 0 leaves them as they are.
        steps: training ends after so many steps, if its epochs have not ended it before.
        label_smoothing: share of a label's mass that is spread over all classes.
        survival: probability that the last block's branch is kept (stochastic depth); an
            earlier one's is higher, in proportion to its position.
        ema_decay: highest decay of the moving average of the weights that is evaluated, see
            `fine_tune_step.NetworkTrainer`; 0 evaluates the weights themselves.
        flip: mirrors half of the images.
        crop: pixels of padding before a random crop to the same size.
        cutout: half the side of the square that is cut out, as a share of the image's.
        randaugment: magnitude of two random operations an image; in the last stage.
        mixup: alpha of the mix of two images; in the last stage.
        cutmix: alpha of the patch from another image.
        stages: number of stages of progressive learning: the values of the last are those above,
            those of the first follow, and between them they grow evenly.
        first_size: share of the image size in the first stage.
        first_dropout: `dropout` of the first stage.
        first_randaugment: `randaugment` of the first stage.
        first_mixup: `mixup` of the first stage.
        rho: of RMSprop: how much of the mean square of the gradients is kept a step.
        momentum: of RMSprop: how much of the last step is added.
        epsilon: of RMSprop: added to the mean square, or of PyTorch's to its root.
        beta_1: of AdaBelief and AdamW: how much of the mean of the gradients is kept a step.
        beta_2: of AdaBelief: how much of the mean square of their distance from that mean is kept;
            of AdamW: of their mean square.
        adabelief_epsilon: of AdaBelief: added to the root of that mean square.
        adamw_epsilon: the same of AdamW.
        layer_decay: what the learning rate of each part of a network (stem, block, head
            convolution) is multiplied by once more than that of the part after it, see
            `training.layer_decay`; 1 gives all parts the same.
        unfreeze: the stage from which on a network trains, a name in `network_stages.names`; what
            is before it stays as it was loaded, its BatchNorm in inference mode.
        geometry: how a photo becomes a square, a name in `geometry.FITS`.
        filter: how a photo is resized, a name in `geometry.FILTERS`.
        crop_scale: smallest share of an image's area that a random crop keeps, before it is resized
            to the whole; 0 crops nothing.
        decay_all: where weight decay is added to gradients, whether it is added to those of all
            variables, biases and BatchNorm's among them; else to those of kernels alone.
        norm_momentum: of BatchNorm, see `batch_norm.BatchNorm`; None for the network's own.
        norm_epsilon: likewise.
        class_weights: how much a class counts in the loss, "none" for all
            alike, or "balanced" for all images / (classes x images of the class).
        standardize: of a regression: whether each feature is shifted and scaled to mean 0 and
            standard deviation 1 over the training images.
        l2_from: of a regression: the weakest L2 of its grid, see `logistic_regression` for the
            scaling.
        l2_to: the strongest.
        l2_values: how many there are from one to the other, evenly spaced in their logarithms.
    """

    name: str
    preprocessing: str
    epochs: Annotated[int, Ge(0)]
    batch_size: Annotated[int, Ge(0)]
    dropout: Rate
    optimizer: str
    weight_decay: Finite
    initial_learning_rate: Finite
    maximal_learning_rate: Finite
    half_cycle_epochs: Annotated[int, Ge(0)]
    start_step: Annotated[int, Ge(0)]
    selection: str
    trains: Annotated[str, Predicate(WAYS.__contains__)] = "head"
    pretrained: bool = True
    schedule: str = "triangular2"
    warmup_epochs: Finite = 0.0
    learning_rate_batch: Annotated[int, Ge(0)] = 0
    steps: Annotated[int, Ge(1)] | None = None
    label_smoothing: Share = 0.0
    survival: Annotated[float, Interval(gt=0, le=1)] = 1.0
    ema_decay: Decay = 0.0
    flip: bool = False
    crop: Annotated[int, Interval(ge=0, le=16)] = 0
    cutout: Annotated[float, Interval(ge=0, le=0.5)] = 0.0
    randaugment: Annotated[float, Interval(ge=0, le=30)] = 0.0
    mixup: Annotated[float, Interval(ge=0, le=2)] = 0.0
    cutmix: Annotated[float, Interval(ge=0, le=2)] = 0.0
    stages: Annotated[int, Interval(ge=1, le=16)] = 1
    first_size: Annotated[float, Interval(gt=0, le=1)] = 1.0
    first_dropout: Rate = 0.0
    first_randaugment: Annotated[float, Interval(ge=0, le=30)] = 0.0
    first_mixup: Annotated[float, Interval(ge=0, le=2)] = 0.0
    rho: Decay = 0.9
    momentum: Decay = 0.9
    epsilon: Positive = 1e-3
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    adabelief_epsilon: Positive = 1e-14
    adamw_epsilon: Positive = 1e-8
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 1.0
    unfreeze: str = ALL
    geometry: str = "squash"
    filter: str = "bilinear"
    crop_scale: Share = 0.0
    class_weights: str = "none"
    standardize: bool = False
    l2_from: Positive = 1e-6
    l2_to: Positive = 1e5
    l2_values: Annotated[int, Interval(ge=1, le=1000)] = 45
    decay_all: bool = False
    norm_momentum: Decay | None = None
    norm_epsilon: Positive | None = None

    @property
    def photo_geometry(self) -> Geometry:
        """How a photo becomes a square."""
        return Geometry(self.geometry, self.filter)

    @property
    def batch_norm(self) -> BatchNorm:
        """The numbers of its BatchNorm."""
        return BatchNorm(self.norm_momentum, self.norm_epsilon)

    @property
    def augments(self) -> bool:
        """Whether an image has other pixels in one step than in another."""
        return any(getattr(self, name) for name in _OF_PIXELS) or self.stages > 1

    @property
    def keeps_maps(self) -> bool:
        """Whether what the frozen part of a network makes of an image is computed once."""
        return self.unfreeze != ALL and not self.augments

    @property
    def way(self) -> WayToTrain:
        """The facts of how it trains."""
        return WAYS[self.trains]

    @property
    def numbers(self) -> dict[str, object]:
        """Every field that a recipe can set, None where its own training depends on none."""
        names = [field.name for field in fields(self) if field.name not in _FIXED]
        return {name: getattr(self, name) if name in self.way.numbers else None for name in names}

    @property
    def settable(self) -> tuple[str, ...]:
        """The fields that can be another number: all that its training depends on."""
        return tuple(name for name in self.numbers if name in self.way.numbers)


# What changes the pixels of an image; so do stages, by their sizes.
_OF_PIXELS = ("flip", "crop", "crop_scale", "cutout", "randaugment", "mixup", "cutmix")
_FIXED = ("name", "trains", "pretrained")
# They are 0 where a way to train has none of them, but not on request.
_NEVER_0 = {
    "epochs": "input should be greater than or equal to 1",
    "batch_size": "input should be greater than or equal to 1",
    "maximal_learning_rate": "input should be greater than 0",
}


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

# What else a setting may call a field.
SHORT_NAMES = {"learning_rate": "maximal_learning_rate"}

# The fields that a sweep has a flag for.
FLAGS = {"epochs": "--epochs", "batch_size": "--batch-size", "start_step": "--start-step"}

_ADAPTER = TypeAdapter(Recipe)


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
