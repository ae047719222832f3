"""Images come to a network the same on every kind of device."""

import numpy as np
import pytest

from effbench.hardware.tensorflow_setup import tf
from effbench.models import preprocessing


@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_what_xla_compiles_resizes_as_tensorflow_does(kind):
    """XLA's own bilinear op is up to 250 of 255 off, as it has other centres of pixels."""
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))

    @tf.function(jit_compile=True, autograph=False)
    def compiled(images):
        return preprocessing.prepare(images, 80, "tf", kind)

    plain = preprocessing.prepare(images, 80, "tf", "cpu")
    np.testing.assert_allclose(compiled(images), plain, atol=1e-4)
