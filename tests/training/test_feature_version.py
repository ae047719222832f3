"""The features of a few images are pinned: what changes them needs another version of the cache."""

from dataclasses import replace

import numpy as np
import pytest
from support.records import spec

from effbench.config.variants import VARIANTS
from effbench.hardware.devices import Device
from effbench.hardware.distribution import ALONE
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.models.preprocessing import PREPROCESSING
from effbench.training.features import feature_cache, inputs

SIZE = 64
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)

# Every 320th feature of the first three images, by version and preprocessing: of a B0 with seeded
# random weights and the BatchNorm statistics of all eight.
PINNED: dict[int, dict[str, list[list[float]]]] = {
    1: {
        "torch": [
            [-0.0554, 0.3972, -0.1151, -0.0966],
            [0.2608, 0.0504, 0.1545, -0.0364],
            [0.1463, 0.4653, 0.0794, 0.3162],
        ],
        "tf": [
            [-0.0812, 0.4315, -0.1028, -0.1758],
            [0.2068, 0.0830, 0.1463, -0.0241],
            [0.1112, 0.5329, -0.0138, 0.4127],
        ],
        "notebook-2021": [
            [-0.0596, 0.3825, -0.1227, -0.0960],
            [0.2232, 0.0677, 0.1559, -0.0460],
            [0.1557, 0.4605, 0.0515, 0.4002],
        ],
    }
}


@pytest.fixture(scope="module")
def model():
    return backbone.build(VARIANTS["B0"], SIZE, "float32")


@pytest.mark.parametrize("device", ["cpu", "tpu"])
@pytest.mark.parametrize("preprocessing", PREPROCESSING)
def test_features_are_those_of_this_version(model, preprocessing, device):
    backbone.calibrate(model, SIZE, preprocessing, IMAGES)
    recipe = spec().recipe
    run = spec(image_size=SIZE, recipe=replace(recipe, preprocessing=preprocessing))
    forward = inputs.forward(run, model, Device(device, "", 1, ALONE), len(IMAGES))
    features = forward(tf.constant(IMAGES)).numpy()
    np.testing.assert_allclose(
        features[:3, ::320],
        PINNED[feature_cache.VERSION][preprocessing],
        # Kernels of other CPUs round otherwise: 2e-6 of noise in all weights comes to 1e-4.
        atol=1e-3,
        err_msg="the features are others than those in caches: raise feature_cache.VERSION, and "
        "pin these numbers for it",
    )
