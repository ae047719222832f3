import numpy as np
import pytest
from PIL import Image
from support.pictures import noise

from effbench.config.geometry import FILTERS, FITS, Geometry
from effbench.data.pixels.fitting import fitted


def bars(width: int, height: int) -> Image.Image:
    """Left third red, middle green, right blue."""
    values = np.zeros((height, width, 3), np.uint8)
    for channel in range(3):
        values[:, channel * width // 3 : (channel + 1) * width // 3, channel] = 255
    return Image.fromarray(values)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("filter_name", FILTERS)
@pytest.mark.parametrize("shape", [(90, 30), (30, 90), (7, 5), (1, 1), (1, 400)])
def test_every_shape_becomes_a_square(shape, filter_name, fit):
    square = fitted(noise(1, *shape), 24, Geometry(fit, filter_name))
    assert square.shape == (24, 24, 3)
    assert square.dtype == np.uint8


@pytest.mark.parametrize("fit", FITS)
def test_a_square_of_the_size_stays_as_it_is(fit):
    image = noise(1, 24, 24)
    np.testing.assert_array_equal(fitted(image, 24, Geometry(fit)), np.asarray(image))


def test_squash_shows_all_of_it():
    square = fitted(bars(90, 30), 30, Geometry("squash"))
    for column, channel in ((5, 0), (15, 1), (25, 2)):
        np.testing.assert_array_equal(square[15, column], 255 * np.eye(3, dtype=int)[channel])


def test_crop_shows_the_centre():
    square = fitted(bars(90, 30), 30, Geometry("crop"))
    np.testing.assert_array_equal(square, np.broadcast_to([0, 255, 0], square.shape))


def test_pad_keeps_the_proportions_and_adds_black():
    square = fitted(bars(90, 30), 30, Geometry("pad"))
    assert (square[:10] == 0).all()
    assert (square[20:] == 0).all()
    assert (square[10:20].max(axis=-1) > 0).all()
    np.testing.assert_array_equal(square[15, 5], [255, 0, 0])
    np.testing.assert_array_equal(square[15, 25], [0, 0, 255])


@pytest.mark.parametrize("filter_name", FILTERS)
def test_fine_patterns_are_averaged_where_an_image_shrinks(filter_name):
    """Without antialiasing, a board of pixels becomes black, white or stripes."""
    board = 255 * (np.indices((256, 256)).sum(axis=0) % 2).astype(np.uint8)
    image = Image.fromarray(board).convert("RGB")
    square = fitted(image, 31, Geometry("squash", filter_name)).astype(int)
    assert np.abs(square - 127.5).max() < 8


def test_filters_differ():
    image = noise(1, 50, 40)
    one, other = (fitted(image, 96, Geometry("squash", name)) for name in FILTERS)
    assert (one != other).any()
