"""Recipes: every number that training depends on. A new recipe is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from effbench.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        name: of the row.
        preprocessing: "weights" for what the loaded weights expect, or the name of a row of
            `models.PREPROCESSING` that is used for every variant.
        epochs: passes over the training images.
        batch_size: global batch, over all replicas.
        dropout: rate between pooling and the classifier.
        optimizer: name of a row of `optimizers.OPTIMIZERS`.
        weight_decay: decoupled, scaled by the learning rate.
        initial_learning_rate: the lowest of the triangular2 cycle.
        maximal_learning_rate: its highest in the first cycle; halved in each further one.
        half_cycle_epochs: epochs from the lowest to the highest; an epoch of the schedule is
            `training images // batch_size` steps, as the case study counted.
        start_step: the optimizer's step count at the first step of a run. The case study shared
            one optimizer between variants, so most of its runs did not start at 0.
        selection: which epoch's weights are reported, a name in `runs.SELECTIONS`.
    """

    name: str
    preprocessing: str
    epochs: int
    batch_size: int
    dropout: float
    optimizer: str
    weight_decay: float
    initial_learning_rate: float
    maximal_learning_rate: float
    half_cycle_epochs: int
    start_step: int
    selection: str


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


RECIPES: Mapping[str, Recipe] = {
    row.name: row
    for row in (
        _case_study("case-study", "weights"),
        # As the notebook really ran in December 2021, with keras-efficientnet-v2 1.1.
        _case_study("case-study-2021", "notebook-2021"),
    )
}


def get(name: str) -> Recipe:
    """The row called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in RECIPES:
        raise UsageError("unknown recipe", name, f"choose from {', '.join(RECIPES)}")
    return RECIPES[name]
