"""Both ways to read pixels are NumPy's counts and tables, and Pillow's interpolation."""

import numpy as np
import pytest
from PIL import Image

from effbench.hardware.tensorflow_setup import tf
from effbench.training.augment import sampling

WAYS = (sampling.INDICES, sampling.PRODUCTS)
PLANES = np.random.default_rng(0).integers(0, 256, (6, 8, 12)).astype(np.float32)
PLANES[0] = 255
both = pytest.mark.parametrize("way", WAYS, ids=("indices", "products"))


@both
def test_histogram(way):
    want = [np.bincount(plane.ravel().astype(int), minlength=256) for plane in PLANES]
    np.testing.assert_array_equal(way.histogram(tf.constant(PLANES)), want)


@both
def test_lookup(way):
    tables = np.random.default_rng(1).integers(0, 256, (6, 256)).astype(np.float32)
    want = [table[plane.astype(int)] for table, plane in zip(tables, PLANES, strict=True)]
    np.testing.assert_array_equal(way.lookup(tf.constant(tables), tf.constant(PLANES)), want)


@both
def test_between(way):
    images = PLANES.reshape(2, 3, 8, 12)
    generator = np.random.default_rng(2)
    x = generator.uniform(-0.5, 11.5, (2, 8, 12)).astype(np.float32)
    y = generator.uniform(-0.5, 7.5, (2, 8, 12)).astype(np.float32)
    x[0, 0, :4], y[0, 0, :4] = (-0.5, 11.4999, 3.0, 11.0), (-0.5, 7.4999, 5.0, 7.0)
    got = way.between(*map(tf.constant, (images, x, y))).numpy()
    for image, colour, row, column in np.ndindex(images.shape):
        plane = Image.fromarray(images[image, colour])
        place = x[image, row, column] + 0.5, y[image, row, column] + 0.5
        # A map that takes the middle of the only pixel there.
        one = plane.transform(
            (1, 1), Image.Transform.AFFINE, (1, 0, place[0] - 0.5, 0, 1, place[1] - 0.5), 2
        )
        # Float arithmetic, in another order.
        assert got[image, colour, row, column] == pytest.approx(one.getpixel((0, 0)), abs=2e-3)
