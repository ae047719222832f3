"""RandAugment's ops are Pillow's, and each is as likely, whichever way pixels are read."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from effbench.hardware.tensorflow_setup import tf
from effbench.training.augment import sampling
from effbench.training.augment.randaugment import OPS, distort, randaugment

SIZE = 32
WAYS = (sampling.INDICES, sampling.PRODUCTS)
MAGNITUDES = (0.7, 5, 9, 15, 25)


def pictures() -> np.ndarray:
    """Noise, dark and bright and flat images, few levels, and smooth ones: uint8 [n, 32, 32, 3]."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (4, SIZE, SIZE, 3))
    dark = generator.integers(3, 70, (2, SIZE, SIZE, 3))
    bright = generator.integers(200, 250, (2, SIZE, SIZE, 3))
    few = generator.choice([10, 11, 200], (2, SIZE, SIZE, 3))
    skewed = generator.choice([7, 90, 91, 254], (1, SIZE, SIZE, 3), p=[0.02, 0.03, 0.05, 0.9])
    colours = np.array([[0, 0, 0], [255, 255, 255], [9, 128, 254]])
    flat = np.ones((3, SIZE, SIZE, 3)) * colours[:, None, None]
    ramp = np.add.outer(np.arange(SIZE) * 5, np.arange(SIZE) * 3)[None, ..., None] + [0, 5, 7]
    return np.concatenate([noise, dark, bright, few, skewed, flat, ramp]).astype(np.uint8)


IMAGES = pictures()
SMALL = IMAGES[:1, :8, :8]


def factor(magnitude: float) -> float:
    return magnitude / 10 * 1.8 + 0.1


def affine(image: Image.Image, *matrix: float) -> Image.Image:
    """`matrix` is of pixel numbers; Pillow's is of points, half a pixel further."""
    a, b, c, d, e, f = matrix
    points = a, b, c + (1 - a - b) / 2, d, e, f + (1 - d - e) / 2
    return image.transform(
        image.size, Image.Transform.AFFINE, points, Image.Resampling.BILINEAR, fillcolor=(128,) * 3
    )


def moved(share: float) -> float:
    """Pixels, of 100 at magnitude 10 in an image of 224."""
    return share * 10 * SIZE / 224


def posterize(image: Image.Image, bits: int) -> Image.Image:
    """Pillow has no picture of no bits; it is black."""
    return ImageOps.posterize(image, min(bits, 8)) if bits else Image.new("RGB", image.size)


def solarize_add(image: Image.Image, addition: int) -> Image.Image:
    return image.point([min(i + addition, 255) if i < 128 else i for i in range(256)] * 3)


PILLOW = {
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "invert": lambda image, _: ImageOps.invert(image),
    # Pillow turns counterclockwise for positive angles, about the middle.
    "rotate": lambda image, m: image.rotate(m * 3, Image.Resampling.BILINEAR, fillcolor=(128,) * 3),
    "posterize": lambda image, m: posterize(image, int(m / 10 * 4)),
    "solarize": lambda image, m: ImageOps.solarize(image, int(m / 10 * 256)),
    "color": lambda image, m: ImageEnhance.Color(image).enhance(factor(m)),
    "contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(factor(m)),
    "brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(factor(m)),
    "sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(factor(m)),
    "shear_x": lambda image, m: affine(image, 1, m * 0.03, 0, 0, 1, 0),
    "shear_y": lambda image, m: affine(image, 1, 0, 0, m * 0.03, 1, 0),
    "translate_x": lambda image, m: affine(image, 1, 0, moved(m), 0, 1, 0),
    "translate_y": lambda image, m: affine(image, 1, 0, 0, 0, 1, moved(m)),
    "solarize_add": lambda image, m: solarize_add(image, int(m * 11)),
}
# Grey levels. Tables of whole numbers are exact. The others are rounded here and truncated by
# Pillow, which makes up to 1.
EXACT = ("equalize", "invert", "posterize", "solarize", "solarize_add")
SIGNED = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def distorted(
    name: str, magnitude: float, way=sampling.INDICES, draws=(0.75, 0.5, 0.5), images=IMAGES
) -> np.ndarray:
    count = len(images)
    planes = tf.transpose(tf.constant(images, tf.float32), (0, 3, 1, 2))
    ops = tf.fill([count], OPS.index(name))
    draws = tf.constant(np.broadcast_to(np.float32(draws), (count, 3)))
    return distort(planes, ops, draws, magnitude, way).numpy().transpose(0, 2, 3, 1)


def test_every_op_is_compared():
    assert {*PILLOW, "cutout"} == set(OPS)
    assert len(OPS) == 16


@pytest.mark.parametrize("way", WAYS, ids=("indices", "products"))
@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("name", PILLOW)
def test_an_op_is_that_of_pillow(name, magnitude, way):
    for sign in (1, -1) if name in SIGNED else (1,):
        got = distorted(name, magnitude, way, (0.5 + 0.25 * sign, 0.5, 0.5))
        want = np.stack(
            [PILLOW[name](Image.fromarray(each), sign * magnitude) for each in IMAGES]
        ).astype(np.float32)
        difference = np.abs(got - want)
        np.testing.assert_array_equal(got, np.clip(np.rint(got), 0, 255))
        # A point on the very edge of the picture may fall to either side of it, by rounding.
        edge = (difference > 1).any(axis=(0, 3)) & (name in SIGNED)
        assert edge.sum() <= 2
        assert difference[:, ~edge].max() <= (name not in EXACT)


@pytest.mark.parametrize("row", [0, 13, 31])
@pytest.mark.parametrize("column", [0, 20, 31])
def test_cutout(row, column):
    half = round(9 * 4 * SIZE / 224)
    got = distorted("cutout", 9, draws=(0.2, (row + 0.5) / SIZE, (column + 0.5) / SIZE))
    want = IMAGES.astype(np.float32)
    want[:, max(0, row - half) : row + half, max(0, column - half) : column + half] = 128
    np.testing.assert_array_equal(got, want)


def test_each_image_gets_its_own_op():
    """Neighbours do not matter, nor what they get."""
    count = len(OPS)
    images = np.resize(IMAGES, (count, SIZE, SIZE, 3))
    planes = tf.transpose(tf.constant(images, tf.float32), (0, 3, 1, 2))
    draws = tf.fill([count, 3], 0.6)
    mixed = distort(planes, tf.range(count), draws, 9, sampling.INDICES).numpy()
    for place, name in enumerate(OPS):
        alone = distorted(name, 9, draws=(0.6,) * 3, images=images[place : place + 1])
        np.testing.assert_array_equal(mixed[place].transpose(1, 2, 0), alone[0], name)


# --- the draws -----------------------------------------------------------------------------------


def which(images: np.ndarray, results: np.ndarray, magnitude: float) -> np.ndarray:
    """Each image's op and sign, as 2 * op + sign, found by trying all: int [n]."""
    found = np.full(len(images), -1)
    for number, name in enumerate(OPS):
        for sign in (0, 1):
            tried = distorted(name, magnitude, draws=(0.25 + 0.5 * sign, 0.5, 0.5), images=images)
            same = (tried == results).all(axis=(1, 2, 3))
            found[same & (found < 0)] = 2 * number + sign
    return found


def test_ops_and_signs_are_equally_likely():
    count = 3200
    images = np.repeat(SMALL, count, axis=0)
    got = randaugment(tf.constant(images, tf.float32), tf.constant([3, 4]), 1, 4).numpy()
    found = which(images, got, 4)
    # Cutouts have random places; all else is found. Half of the signs of a signed op are 1.
    op = np.where(found < 0, OPS.index("cutout"), found // 2)
    assert stats.chisquare(np.bincount(op, minlength=len(OPS))).pvalue > 0.01
    for name in SIGNED:
        signs = found[op == OPS.index(name)] % 2
        assert stats.binomtest(int(signs.sum()), len(signs)).pvalue > 0.01, name


def test_layers_follow_one_another():
    """A second layer distorts what the first made, by an op of its own."""
    images = tf.constant(np.repeat(SMALL, 400, axis=0), tf.float32)
    one, two = (randaugment(images, tf.constant([5, 6]), layers, 4).numpy() for layers in (1, 2))
    np.testing.assert_array_equal(randaugment(images, tf.constant([5, 6]), 0, 4), images)
    found = np.full(400, -1)
    for number, name in enumerate(OPS):
        for sign in (0, 1):
            tried = distorted(name, 4, draws=(0.25 + 0.5 * sign, 0.5, 0.5), images=one)
            found[(tried == two).all(axis=(1, 2, 3))] = number
    # Nearly all but cutout, at least, are told apart; none is a favourite.
    assert (found >= 0).mean() > 0.8
    assert len(np.unique(found[found >= 0])) >= len(OPS) - 2


def test_the_ways_agree():
    images = tf.constant(np.resize(IMAGES, (64, SIZE, SIZE, 3)), tf.float32)
    one, other = (randaugment(images, tf.constant([1, 2]), 2, 9, way).numpy() for way in WAYS)
    # Ties of rounding, in few pixels; what follows them may magnify.
    assert (one != other).mean() < 1e-3


def test_rotation_is_about_the_middle():
    image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    image[:, 8, 20] = 255
    got = distorted("rotate", 30, images=image)  # 90 degrees
    assert np.argwhere(got[0, ..., 0] == 255).tolist() in ([[20, 23]], [[11, 8]])
