"""The form of a recipe: every number that training depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated

from annotated_types import Ge, Interval, Predicate

from effbench.config.batch_norm import BatchNorm
from effbench.config.geometry import Geometry
from effbench.config.network_stages import ALL
from effbench.config.ways_to_train import WAYS, WayToTrain

Finite = Annotated[float, Interval(ge=0, lt=math.inf)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
Share = Annotated[float, Interval(ge=0, le=1)]
Decay = Annotated[float, Interval(ge=0, lt=1)]
# 255/256: `head_step.keep_mask` counts in bytes.
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
        selection: which epoch's weights are reported, a name in `scores.SELECTIONS`; without
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
