"""The backbone of a run that trains on its features only: built, loaded and left as it is."""

from __future__ import annotations

import numpy as np

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.splits import Dataset
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.hardware.distribution import Layout
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone, weights
from effbench.training.job import Job

# For the BatchNorm statistics of random weights: 8 images at 224, more where they are smaller.
CALIBRATION_PIXELS = 8 * 224 * 224


def load(
    job: Job, dataset: Dataset, layout: Layout, engine: Engine = TENSORFLOW
) -> tuple[keras.Model, str]:
    """The backbone of a job, on every replica, and how its weights were verified."""
    spec = job.specs[0]
    precision = "float32" if engine.float32_graph else spec.precision
    with tf.device(layout.placement):
        model = backbone.build(VARIANTS[spec.variant], spec.image_size, precision)
        verified = _load(model, job, dataset)
        return layout.mirror(model), verified


def calibrating(spec: RunSpec, dataset: Dataset) -> np.ndarray:
    """The training images that random weights have their BatchNorm statistics from."""
    return dataset.train.pixels[: max(8, CALIBRATION_PIXELS // spec.image_size**2)]


def _load(model: keras.Model, job: Job, dataset: Dataset) -> str:
    """Loads the job's weights; says how they were verified."""
    spec = job.specs[0]
    if job.weights_file is None:
        images = calibrating(spec, dataset)
        backbone.calibrate(model, spec.image_size, spec.preprocessing, images)
        return f"random weights, BatchNorm statistics of {len(images)} training images"
    return weights.verified(model, job.weights_file, spec.weights)
