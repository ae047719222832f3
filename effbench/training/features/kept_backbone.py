"""The backbone of a finished run, built again from what the run kept; in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effbench import cache, whereabouts
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.errors import EffbenchError, WeightsError
from effbench.hardware.tensorflow_setup import keras
from effbench.models import backbone, weights
from effbench.progress import Report
from effbench.records.record import RunResult


def as_trained(
    record: RunResult, arrays: list[np.ndarray], _: Path | None, __: Report
) -> keras.Model:
    """Builds the backbone of a run that kept all of it.

    Raises:
        WeightsError: the arrays are not those of the network.
    """
    spec, recipe = record.spec, record.spec.recipe
    model, _noise = backbone.trainable(
        VARIANTS[spec.variant], "float32", recipe.survival, "cpu", recipe.batch_norm
    )
    try:
        model.set_weights(arrays)
    except ValueError as error:
        raise unfit(spec, str(error)) from error
    return model


def as_loaded(
    record: RunResult, _: list[np.ndarray], weights_dir: Path | None, report: Report
) -> keras.Model:
    """Builds the backbone of a run that kept its head only, from the weights it began with.

    Raises:
        EffbenchError: those weights were random.
        WeightsError: their file cannot be had, or is another one.
    """
    spec = record.spec
    if spec.weights.random:
        raise EffbenchError(
            "of a run that trained a head the backbone is not kept",
            f"{spec.key} with random weights",
            "export one that began with a file of weights, or trained the whole network",
        )
    variant = VARIANTS[spec.variant]
    path = None if spec.weights.released else _at_hand(record, weights_dir)
    source = weights.WeightsSource(spec.weights.name, path, spec.weights.rescale)
    file = weights.find(source, spec.weights, variant, weights_dir, report)
    model = backbone.build(variant, spec.image_size, "float32")
    weights.verified(model, file.path, spec.weights)
    return model


def _at_hand(record: RunResult, weights_dir: Path | None) -> Path:
    """The file that is no release: in a folder, else where it was, else in the working directory.

    Raises:
        WeightsError: it is not there.
    """
    made = record.provenance
    seen = None if weights_dir else whereabouts.of(made.weights_sha256)
    path = seen or (weights_dir or Path()) / made.weights_file
    if not path.is_file():
        unknown = "" if weights_dir else f"it is in no note of {cache.directory()}, and "
        raise WeightsError(
            "the file of the backbone's weights must be known, or in this directory",
            f"{unknown}no {path} ({record.spec.weights.digest}) is there",
            "add --weights-dir with the folder of that file",
        )
    return path


def unfit(spec: RunSpec, received: str) -> WeightsError:
    """What to raise where the arrays that a run kept are not those of its network."""
    return WeightsError(
        f"the weights that were kept do not fit {spec.variant}",
        received,
        f"'effbench show {spec.key} --rerun' prints how to run it again; add --force to that",
    )
