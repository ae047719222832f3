"""The ways to train: a head or a regression on a frozen backbone, and a whole network.

Here are their plain facts; what needs TensorFlow stands in `training.methods`. All other code asks
for a fact, never which way it is, so that a new way is a new row in both tables.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class AllBut:
    """All names but these."""

    names: frozenset[str]

    def __contains__(self, name: object) -> bool:
        return name not in self.names


@dataclass(frozen=True)
class WayToTrain:
    """What differs between the ways to train.

    Attributes:
        trained: what the training changes, as a sentence says it: "a head".
        frozen_backbone: the backbone stays as it was loaded, so that the features of an image can
            be computed once and kept.
        numbers: fields of `Recipe` that the training depends on.
        seeded: the outcome depends on a seed; else there is one solution, and one run finds it.
        chooses: what the rule of selection chooses one of, as a sentence says it: "epoch".
        every_class: each class needs an image among the training and the validation images.
        batch_per_replica: images of each replica where nobody asked for a batch size; None where
            the batch is then the recipe's, however many replicas share it.
        seeds_together: one process trains all seeds of a run beside each other.
        in_every_step: the backbone can run in every step, instead of once for each image.
        whole_batches: an epoch leaves out the images that fill no batch.
        micro_batches: a batch can go through the network in parts.
        saves_progress: the training keeps checkpoints, and saves what it has before it ends.
        tensorboard: the training can write logs for TensorBoard.
        every_rule: there are epochs to choose from, and every rule of selection leaves its scores
            and predictions, not only the recipe's.
    """

    trained: str
    frozen_backbone: bool
    numbers: Container[str]
    seeded: bool
    chooses: str
    every_class: bool
    batch_per_replica: int | None
    seeds_together: bool
    in_every_step: bool
    whole_batches: bool
    micro_batches: bool
    saves_progress: bool
    tensorboard: bool
    every_rule: bool


_OF_REGRESSION = frozenset({"standardize", "l2_from", "l2_to", "l2_values"})

# By the name that `Recipe.trains` stores.
WAYS: Mapping[str, WayToTrain] = {
    "head": WayToTrain(
        trained="a head",
        frozen_backbone=True,
        # The others would change the key of a run and nothing else. Another optimizer would need
        # an L2 loss, which a head's step has not.
        numbers=frozenset(
            {
                "preprocessing",
                "epochs",
                "batch_size",
                "dropout",
                "weight_decay",
                "initial_learning_rate",
                "maximal_learning_rate",
                "half_cycle_epochs",
                "start_step",
                "selection",
                "schedule",
                "warmup_epochs",
                "learning_rate_batch",
                "beta_1",
                "beta_2",
                "adabelief_epsilon",
                "adamw_epsilon",
                "geometry",
                "filter",
                "class_weights",
            }
        ),
        seeded=True,
        chooses="epoch",
        every_class=False,
        batch_per_replica=16,  # the case study's, on the 8 replicas of its TPU
        seeds_together=True,
        in_every_step=True,
        whole_batches=False,
        micro_batches=False,
        saves_progress=False,  # heads are trained again sooner than saved
        tensorboard=False,
        every_rule=True,
    ),
    "regression": WayToTrain(
        trained="a logistic regression",
        frozen_backbone=True,
        numbers=_OF_REGRESSION | {"preprocessing", "geometry", "filter", "class_weights"},
        seeded=False,
        chooses="L2",
        every_class=True,  # the bias of one that is never seen has no end
        batch_per_replica=None,
        seeds_together=False,
        in_every_step=False,
        whole_batches=False,
        micro_batches=False,
        saves_progress=False,
        tensorboard=False,
        every_rule=False,
    ),
    "network": WayToTrain(
        trained="a whole network",
        frozen_backbone=False,
        numbers=AllBut(_OF_REGRESSION),
        seeded=True,
        chooses="epoch",
        every_class=False,
        batch_per_replica=None,
        seeds_together=False,
        in_every_step=True,
        whole_batches=True,  # BatchNorm would feel a smaller one
        micro_batches=True,
        saves_progress=True,
        tensorboard=True,
        every_rule=True,
    ),
}
