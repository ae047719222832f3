"""A model makes photos square as Pillow does, and so as the run that it comes from."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from effbench.config.geometry import FILTERS, FITS, Geometry
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models.photo_square import square

FILTER = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
FIT = {"squash": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}


def photo(height: int, width: int) -> np.ndarray:
    """With fine patterns, and soft ones."""
    random = np.random.default_rng(height)
    soft = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8)).resize((width, height))
    noise = random.integers(-40, 41, (height, width, 3))
    return np.clip(np.asarray(soft).astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(96, 128), (75, 33), (37, 83), (16, 16), (20, 64), (32, 32)])
def test_it_is_pillows(shape, fit, filter):
    image = photo(*shape)
    expected = np.asarray(FIT[fit](Image.fromarray(image), (32, 32), FILTER[filter]), int)
    got = square(tf.constant(image[None]), 32, Geometry(fit, filter)).numpy()[0]
    assert got.shape == (32, 32, 3)
    apart = np.abs(got - expected)
    # Pillow's weights are fixed-point numbers, and noise is what they differ for most.
    assert apart.max() <= 4
    assert np.mean(apart <= 1) > 0.99
    if fit == "pad" and shape == (20, 64):
        assert not got[:10].any()
        assert not got[-10:].any()


def test_it_is_in_a_model_of_kerass_own_layers(tmp_path):
    images = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Model(images, square(images, 16, Geometry("crop", "bicubic")))
    path = tmp_path / "square.keras"
    model.save(path, save_format="keras")
    image = photo(40, 30)[None]
    loaded = keras.models.load_model(path, compile=False)
    np.testing.assert_array_equal(
        loaded(image), square(tf.constant(image), 16, Geometry("crop", "bicubic"))
    )


def test_no_length_is_computed_in_floats() -> None:
    """OpenVINO computes in bfloat16 where a processor has it: 375 lines would become 376."""
    images = tf.TensorSpec((None, None, None, 3), tf.uint8)
    traced = tf.function(lambda images: square(images, 32, Geometry("squash", "bilinear")))
    ranges = [
        operation
        for operation in traced.get_concrete_function(images).graph.get_operations()
        if operation.type == "Range" and operation.inputs[1].op.type != "Const"
    ]
    assert [operation.outputs[0].dtype for operation in ranges] == [tf.int32] * 2
