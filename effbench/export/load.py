"""The selected network of a run, from what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.errors import EffbenchError, WeightsError
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone as backbones
from effbench.models import weights
from effbench.progress import Report
from effbench.records.record import Record, RunFailure, RunResult
from effbench.records.store import Store


@dataclass(frozen=True)
class Network:
    """A run's own network, in float32 whatever it was trained in.

    Attributes:
        spec: of the run.
        backbone: from float32 [n, size, size, 3], rescaled, to a feature map.
        kernel: float32 [width, classes].
        bias: float32 [classes].
    """

    spec: RunSpec
    backbone: keras.Model
    kernel: np.ndarray
    bias: np.ndarray

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """As the run is evaluated: uint8 [n, h, w, 3] to float64 [n, classes]."""
        forward = backbones.forward(
            self.backbone, self.spec.image_size, self.spec.preprocessing, len(images), 1
        )
        features = forward(tf.constant(images)).numpy()
        return softmax((features @ self.kernel + self.bias).astype(np.float64), axis=1)


def load(store: Store, record: Record, weights_dir: Path | None, report: Report) -> Network:
    """The network whose scores the run reports.

    Args:
        store: of the run.
        record: of the run.
        weights_dir: searched first for the backbone's file, where only a head was trained.
        report: told of a download as it comes.

    Raises:
        EffbenchError: the run failed, or what was kept is not enough.
        DataError: what was kept is damaged.
        WeightsError: it does not fit, or the backbone's file cannot be had.
    """
    spec = record.spec
    if isinstance(record, RunFailure):
        raise EffbenchError(
            "a run that failed has no model",
            f"{spec.key}: {record.kind}: {record.message}",
            f"'effbench show {spec.key} --rerun' prints how to run it; add --retry-failed",
        )
    arrays = store.load_model(spec.key)
    if len(arrays) < 2:
        raise _unfit(spec, f"{len(arrays)} arrays")
    *trained, kernel, bias = arrays
    backbone = _BACKBONES[spec.recipe.trains](record, trained, weights_dir, report)
    if kernel.shape != (backbone.output_shape[-1], *bias.shape):
        raise _unfit(spec, f"a head of {kernel.shape} and {bias.shape}")
    return Network(spec, backbone, kernel, bias)


def _trained(
    record: RunResult, arrays: list[np.ndarray], _: Path | None, __: Report
) -> keras.Model:
    """All of it was kept."""
    spec = record.spec
    model, _noise = backbones.trainable(VARIANTS[spec.variant], "float32", spec.recipe.survival)
    try:
        model.set_weights(arrays)
    except ValueError as error:
        raise _unfit(spec, str(error)) from error
    return model


def _frozen(
    record: RunResult, _: list[np.ndarray], weights_dir: Path | None, report: Report
) -> keras.Model:
    """Only the head was kept; the backbone is that of the weights it began with."""
    spec = record.spec
    if spec.weights.random:
        raise EffbenchError(
            "of a run that trained a head the backbone is not kept",
            f"{spec.key} with random weights",
            "export one that began with a file of weights, or trained the whole network",
        )
    variant = VARIANTS[spec.variant]
    path = None
    if not spec.weights.released:
        path = (weights_dir or Path()) / record.provenance.weights_file
        if not path.is_file():
            hint = f"name the folder of that file ({spec.weights.digest}) with --weights-dir"
            raise WeightsError("the backbone's weights must be at hand", str(path), hint)
    source = weights.Source(spec.weights.name, path, spec.weights.rescale)
    file = weights.find(source, spec.weights, variant, weights_dir, report)
    model = backbones.build(variant, spec.image_size, "float32")
    weights.verified(model, file.path, spec.weights)
    return model


def _unfit(spec: RunSpec, received: str) -> WeightsError:
    return WeightsError(
        f"the weights that were kept do not fit {spec.variant}",
        received,
        f"'effbench show {spec.key} --rerun' prints how to run it again; add --force to that",
    )


# By what of the network a recipe trains.
_BACKBONES: Mapping[
    str, Callable[[RunResult, list[np.ndarray], Path | None, Report], keras.Model]
] = {
    "network": _trained,
    "head": _frozen,
}
