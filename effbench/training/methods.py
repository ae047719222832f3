"""How each way to train is carried out; its plain facts stand in `config.ways_to_train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.config.recipe_numbers import Recipe
from effbench.config.run_spec import RunSpec
from effbench.data.outline import Outline
from effbench.hardware.devices import Device
from effbench.hardware.tensorflow_setup import keras
from effbench.progress import Report
from effbench.records.record import RunResult
from effbench.training.features import kept_backbone
from effbench.training.fine_tuning import fine_tune_programs, fine_tune_run
from effbench.training.heads import head_programs, head_run
from effbench.training.interface import Outcome, Setting
from effbench.training.regression import logistic_regression_programs, logistic_regression_run
from effbench.training.replica_program import Program


@dataclass(frozen=True)
class Method:
    """What a way to train does with TensorFlow.

    Attributes:
        train: trains and scores every run of a job.
        programs: lists the programs that a run executes on each replica, the one with the network
            first; takes the run, how much data there is, the images that a replica takes at once in
            that one (None for what the run takes), and the device.
        backbone: builds the backbone of a finished run again; takes its record, the arrays it kept
            of the backbone, a folder to search for weights, and who is told of a download.
    """

    train: Callable[[Setting], Outcome]
    programs: Callable[[RunSpec, Outline, int | None, Device], list[Program]]
    backbone: Callable[[RunResult, list[np.ndarray], Path | None, Report], keras.Model]


# By the name of the row in `ways_to_train.WAYS`.
METHODS: Mapping[str, Method] = {
    "head": Method(head_run.train, head_programs.programs, kept_backbone.as_loaded),
    "regression": Method(
        logistic_regression_run.train,
        logistic_regression_programs.programs,
        kept_backbone.as_loaded,
    ),
    "network": Method(fine_tune_run.train, fine_tune_programs.programs, kept_backbone.as_trained),
}


def of(recipe: Recipe) -> Method:
    """How runs of `recipe` are trained, planned and loaded again."""
    return METHODS[recipe.trains]
