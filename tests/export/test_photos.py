"""An exported model of photos makes them square as its run did, in every format."""

from dataclasses import replace

import numpy as np
import pytest
from support.classifiers import SIDE, image, tiny

from effbench.config.geometry import Geometry
from effbench.export import standard_layers
from effbench.export.formats import ANY_SIZE, FORMATS, Options, read
from effbench.hardware.tensorflow_setup import tf
from effbench.models.photo_square import square

GEOMETRIES = (Geometry(), Geometry("crop", "bicubic"), Geometry("pad"))


# Those that convert one graph are asked for one geometry each.
ASKED = [
    *((name, geometry) for name in ("keras", "keras2", "savedmodel") for geometry in GEOMETRIES),
    *zip(("tflite", "onnx", "openvino"), GEOMETRIES, strict=True),
]


@pytest.mark.parametrize(("name", "geometry"), ASKED, ids=str)
def test_photos_of_any_shape_go_through_the_models_own_square(name, geometry, tmp_path):
    classifier = tiny(geometry)
    path = tmp_path / f"model{FORMATS[name].suffix}"
    FORMATS[name].write(classifier, path, ANY_SIZE)
    model = read(path)
    plain = replace(classifier, geometry=None).model
    for height, width in ((67, 41), (16, 16), (9, 30)):
        photo = image(height, width)
        inside = square(tf.constant(photo[None]), SIDE, geometry).numpy().astype(np.uint8)
        expected = plain(inside).numpy()[0]
        np.testing.assert_allclose([*model.classify(photo).values()], expected, atol=2e-2)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_model_of_one_size_answers_for_a_photo_as_one_of_any_size(geometry, tmp_path):
    path = tmp_path / "fixed.tflite"
    classifier = tiny(geometry)
    FORMATS["tflite"].write(classifier, path, Options(SIDE))
    photo = image(375, 500)
    expected = classifier.model(photo[None]).numpy()[0]
    np.testing.assert_allclose([*read(path).classify(photo).values()], expected, atol=2e-2)


@pytest.mark.parametrize("shape", [(67, 41), (37, 83), (9, 30), (16, 16)])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_keras_3_makes_the_same_squares(geometry, shape):
    """To one of 255: both round to whole numbers what they add up in another order."""
    photo = image(*shape)[None]
    ours = square(tf.constant(photo), SIDE, geometry).numpy()
    theirs = standard_layers._square(photo.astype(np.float32), SIDE, geometry)
    assert np.abs(ours - np.asarray(theirs)).max() <= 1
