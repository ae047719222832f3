"""The arithmetic of each protocol on real photos, pixel by pixel, against formulas of their own."""

from pathlib import Path

import numpy as np
import pytest
import sklearn
from PIL import Image

from effbench.config.variants import VARIANTS
from effbench.errors import UsageError
from effbench.imagenet import protocols
from effbench.imagenet.protocols import PROTOCOLS
from effbench.imagenet.squares import SQUARES

PHOTOS = Path(sklearn.__file__).parent / "datasets/images"


@pytest.fixture(scope="module", params=["china.jpg", "flower.jpg"])
def photo(request) -> Image.Image:
    """427 x 640; turned for the second, so that both sides are the shorter one."""
    opened = Image.open(PHOTOS / request.param).convert("RGB")
    return opened.transpose(Image.Transpose.ROTATE_90) if "flower" in request.param else opened


def along(pixels: np.ndarray, size: int, axis: int, places, taps, kernel) -> np.ndarray:
    """One direction of a resize: weighted neighbours of `places`; edges are repeated."""
    side = pixels.shape[axis]
    where = places(np.arange(size), side / size)
    first = np.floor(where).astype(int)
    total = np.zeros_like(np.take(pixels, np.zeros(size, int), axis))
    shape = [1, 1, 1]
    shape[axis] = size
    for tap in taps:
        weight = kernel(where - first, tap).reshape(shape)
        total += weight * np.take(pixels, np.clip(first + tap, 0, side - 1), axis)
    return total


def bilinear(pixels: np.ndarray, size: int) -> np.ndarray:
    """`tf.image.resize` without antialias: pixels are squares, seen at their centres."""
    for axis in (0, 1):
        pixels = along(
            *(pixels, size, axis),
            lambda index, scale: np.maximum((index + 0.5) * scale - 0.5, 0),
            (0, 1),
            lambda offset, tap: offset if tap else 1 - offset,
        )
    return pixels


def keys(offset: np.ndarray, tap: int) -> np.ndarray:
    """Keys' kernel with a = -0.75; TensorFlow looks it up in a table of 1,024 offsets."""
    distance = np.abs(np.rint(offset * 1024) / 1024 - tap)
    near = (1.25 * distance - 2.25) * distance**2 + 1
    far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, far)


def bicubic(pixels: np.ndarray, size: int) -> np.ndarray:
    """`tf.compat.v1.image.resize_bicubic`: pixels are points."""
    for axis in (0, 1):
        pixels = along(
            *(pixels, size, axis), lambda index, scale: index * scale, range(-1, 3), keys
        )
    return pixels


def middle(pixels: np.ndarray, size: int, up: int) -> np.ndarray:
    height, width, _ = pixels.shape
    side = size * min(height, width) // (size + 32)
    top, left = (height - side + up) // 2, (width - side + up) // 2
    return pixels[top : top + side, left : left + side]


REFERENCES = {
    "squash": bilinear,
    "crop": lambda pixels, size: bilinear(middle(pixels, size, 0), size),
    "crop-bicubic": lambda pixels, size: bicubic(middle(pixels, size, 1), size),
}


@pytest.mark.parametrize("size", [224, 300, 480])
@pytest.mark.parametrize("name", REFERENCES)
def test_squares_are_those_of_the_published_formulas(name, size, photo):
    expected = REFERENCES[name](np.asarray(photo, np.float64), size)
    square = SQUARES[name](photo, size)
    assert square.shape == (size, size, 3)
    assert square.dtype == np.float32
    assert np.abs(square - expected).max() < 0.02


def test_timm_resizes_by_pillow_and_then_cuts(photo):
    whole = photo.resize((320, 479) if photo.width < photo.height else (479, 320), 3)
    pixels = np.asarray(whole, np.float32)
    cut = round((479 - 320) / 2)
    expected = pixels[cut : cut + 320] if photo.width < photo.height else pixels[:, cut : cut + 320]
    np.testing.assert_array_equal(SQUARES["timm"](photo, 320), expected)


def test_protocols_differ(photo):
    squares = [square(photo, 224) for square in SQUARES.values()]
    for index, square in enumerate(squares):
        for other in squares[index + 1 :]:
            assert np.abs(square - other).mean() > 1


def test_every_release_with_imagenets_classes_has_a_protocol():
    assert set(PROTOCOLS) == set(SQUARES)
    for name, row in VARIANTS.items():
        expected = [release for release in row.releases if release != "imagenet21k"]
        assert sorted(protocols.scored(name)) == sorted(expected)
        for release in expected:
            assert protocols.of(name, release).name in PROTOCOLS
    assert protocols.of("B0", "imagenet").described(224) == (
        "crop 0.875, bicubic of TensorFlow 1, not antialiased"
    )
    assert protocols.of("B0", "imagenet", "squash").name == "squash"


@pytest.mark.parametrize(
    ("release", "asked", "line"),
    [
        ("imagenet", "pad", "unknown protocol: pad; choose from published, crop-bicubic, crop,"),
        ("file", "published", "no protocol was published for these weights of B0: file; name one"),
    ],
)
def test_an_unknown_protocol_is_refused(release, asked, line):
    with pytest.raises(UsageError) as caught:
        protocols.of("B0", release, asked)
    assert str(caught.value).startswith(line)
