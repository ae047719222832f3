"""An exported model of photos makes them square as its run did, in every format."""

import numpy as np
import pytest
from support.classifiers import image

from effbench.config.geometry import Geometry
from effbench.export.formats import FORMATS
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models.photo_square import square

GEOMETRIES = (Geometry(), Geometry("crop", "bicubic"), Geometry("pad"))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_photos_of_any_shape_go_through_the_models_own_square(name, geometry, tmp_path):
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3), dtype="uint8", name="images")
    flat = keras.layers.Flatten()(square(images, 16, geometry) / 255.0)
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(flat))
    path = tmp_path / f"model{FORMATS[name].suffix}"
    FORMATS[name].write(model, ("a", "b", "c"), path)
    classify = FORMATS[name].read(path)
    kernel, bias = model.get_weights()
    for height, width in ((67, 41), (16, 16), (9, 30)):
        photo = image(height, width)
        inside = square(tf.constant(photo[None]), 16, geometry).numpy().reshape(1, -1) / 255
        expected = tf.nn.softmax(inside @ kernel + bias).numpy()[0]
        found = list(classify(photo).values())
        np.testing.assert_allclose(found, expected, atol=2e-3)
