"""The selected network of a run, from what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from effbench.config.run_spec import RunSpec
from effbench.data import datasets
from effbench.errors import EffbenchError
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone
from effbench.models.photo_square import square
from effbench.progress import Report
from effbench.records.record import Record, RunFailure
from effbench.records.store import Store
from effbench.training import methods
from effbench.training.features.kept_backbone import unfit


@dataclass(frozen=True)
class Network:
    """A run's own network, in float32 whatever it was trained in.

    Attributes:
        spec: what the run is.
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
        if datasets.of_photos(self.spec.data):
            geometry = self.spec.recipe.photo_geometry
            images = square(tf.constant(images), self.spec.image_size, geometry).numpy()
        forward = backbone.forward(
            self.backbone, self.spec.image_size, self.spec.preprocessing, len(images), 1
        )
        features = forward(tf.constant(images)).numpy()
        return softmax((features @ self.kernel + self.bias).astype(np.float64), axis=1)


def load(store: Store, record: Record, weights_dir: Path | None, report: Report) -> Network:
    """The network whose scores the run reports.

    Args:
        store: the store of the run.
        record: the record of the run.
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
    if spec.folds:
        raise EffbenchError(
            "a cross-validation has a head for every fold, and no model",
            spec.key,
            "run it without --kfold, and export that run",
        )
    arrays = store.load_model(spec.key)
    if len(arrays) < 2:
        raise unfit(spec, f"{len(arrays)} arrays")
    *trained, kernel, bias = arrays
    model = methods.of(spec.recipe).backbone(record, trained, weights_dir, report)
    if kernel.shape != (model.output_shape[-1], *bias.shape):
        raise unfit(spec, f"a head of {kernel.shape} and {bias.shape}")
    return Network(spec, model, kernel, bias)
