"""Augmentations do to each image what NumPy does, by draws of the right distributions."""

import hashlib
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from effbench.hardware.tensorflow_setup import tf
from effbench.training.augment import policy as module
from effbench.training.augment import sampling
from effbench.training.augment.policy import (
    Policy,
    augment,
    beta,
    crop,
    cutmix,
    cutout,
    flip,
    mixup,
    zoom,
)
from effbench.training.augment.rng import uniform

SIZE, CLASSES = 32, 10
MANY = 2000
SEED = tf.constant([7, 8])
# A fixed seed either passes or not; a right distribution fails for one in a hundred.
LIKELY = 0.01
ALL = Policy(flip=True, crop=4, cutout=0.25, randaugment=9.0, mixup=0.2, cutmix=1.0)


def noise(count: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def one_hot(count: int, classes: int = CLASSES) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[np.arange(count) % classes]


@cache
def program(policy: Policy, way: sampling.Sampling, jit_compile: bool):
    """Kept for all tests, because RandAugment takes seconds to trace; without AutoGraph, as it is
    in a step of training."""

    def run(*inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augment(*inputs, policy, way)

    return tf.function(run, jit_compile=jit_compile, autograph=False)


def run(
    policy: Policy,
    images: np.ndarray,
    seed=SEED,
    way=sampling.INDICES,
    labels=None,
    jit_compile=False,
):
    labels = one_hot(len(images)) if labels is None else labels
    outputs = program(policy, way, jit_compile)(tf.constant(images), tf.constant(labels), seed)
    return [output.numpy() for output in outputs]


def halves(images: np.ndarray, **how: object) -> list[np.ndarray]:
    """All augmentations of 32 images, by 16, as most tests have them: another number is traced."""
    parts = [run(ALL, half, **how) for half in np.split(images, 2)]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def floats(images: np.ndarray) -> tf.Tensor:
    return tf.constant(images, tf.float32)


# --- one by one ----------------------------------------------------------------------------------


def test_nothing_asked_for_is_nothing_done():
    images, labels = noise(5), one_hot(5)
    for given in (images, images.astype(np.float32)):
        got = augment(tf.constant(given), tf.constant(labels), SEED, Policy())
        assert got[0].dtype == got[1].dtype == tf.float32
        np.testing.assert_array_equal(got[0], images)
        np.testing.assert_array_equal(got[1], labels)


def test_flip():
    images = noise(MANY, 4)
    got = flip(floats(images), SEED).numpy()
    turned = (got == images[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (got == images).all(axis=(1, 2, 3))
    assert (turned ^ same).all()
    assert stats.binomtest(int(turned.sum()), MANY).pvalue > LIKELY


@pytest.mark.parametrize("padding", [1, 2])
def test_crop(padding):
    images = noise(MANY, 6)
    got = crop(floats(images), SEED, padding).numpy()
    padded = np.pad(images, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    side = 2 * padding + 1
    windows = [
        (got == padded[:, row : row + 6, column : column + 6]).all(axis=(1, 2, 3))
        for row, column in np.ndindex(side, side)
    ]
    assert (np.sum(windows, axis=0) == 1).all()
    assert stats.chisquare(np.sum(windows, axis=1)).pvalue > LIKELY


def test_cutout():
    images = noise(MANY, 8) // 2  # below all noise
    got = cutout(floats(images), SEED, 2).numpy()
    filled = got >= 127.5
    found = np.zeros((8, 8), int)
    for place in range(MANY):
        fits = [
            (row, column)
            for row, column in np.ndindex(8, 8)
            if (filled[place] == box(row, column, 2)[..., None]).all()
        ]
        # Cut off at a border, squares are of different sizes, so that only one fits.
        assert len(fits) == 1, place
        found[fits[0]] += 1
    assert stats.chisquare(found.ravel()).pvalue > LIKELY
    np.testing.assert_array_equal(got[~filled], images[~filled])
    assert stats.kstest(got[filled], stats.uniform(127.5, 127.5).cdf).pvalue > LIKELY


def box(row: int, column: int, half: int, side: int = 8) -> np.ndarray:
    """As automl pads it: bool [side, side]."""
    inside = np.zeros((side, side), bool)
    inside[max(0, row - half) : row + half, max(0, column - half) : column + half] = True
    return inside


def test_cutout_fills_with_what_it_is_told():
    got = cutout(floats(noise(20)), SEED, SIZE, 0.0, 0.5).numpy()
    assert (got < 0.5).any(axis=(1, 2, 3)).all()
    share = run(Policy(cutout=0.25), noise(50) // 2)[0] >= 127.5
    assert share.sum(axis=(1, 2, 3)).max() == (2 * SIZE // 4) ** 2 * 3


def fits(values: np.ndarray, alpha: float, low: float, high: float) -> bool:
    """Whether the values between two bounds, and their number, are of Beta(alpha, alpha).

    Near 1, float32 is too coarse for a small alpha: it moves numbers by up to 6e-8, across much of
    the distribution.
    """
    distribution = stats.beta(alpha, alpha)
    first, last = distribution.cdf([low, high])
    chosen = values[(values > low) & (values < high)].astype(np.float64)
    shape = stats.kstest(chosen, lambda x: (distribution.cdf(x) - first) / (last - first))
    number = stats.binomtest(len(chosen), len(values), last - first)
    return min(shape.pvalue, number.pvalue) > LIKELY


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 2.0])
def test_beta(alpha):
    got = beta(uniform((20_000, 2), SEED), alpha).numpy()
    assert ((got >= 0) & (got <= 1)).all()
    assert fits(got, alpha, 0, 0.5)
    assert fits(got, alpha, 0, 0.999)


def test_beta_is_finite_for_the_extreme_draws():
    corners = tf.constant(
        [[u, v] for u in (0, 1 - 2**-24) for v in (0, 0.25, 0.5, 0.75, 1 - 2**-24)]
    )
    for alpha in (0.1, 2.0):
        got = beta(corners, alpha).numpy()
        assert ((got >= 0) & (got <= 1)).all()


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup(alpha):
    images, labels = noise(MANY, 2).astype(np.float32), one_hot(MANY, MANY)
    got, mixed = mixup(floats(images), tf.constant(labels), SEED, alpha)
    own = np.diag(mixed.numpy())
    assert (own >= 0.5).all()
    np.testing.assert_allclose(np.diag(mixed.numpy()[::-1])[::-1], 1 - own, atol=1e-6)
    weights = own[:, None, None, None]
    # Float arithmetic in another order.
    np.testing.assert_allclose(got, images * weights + images[::-1] * (1 - weights), atol=1e-4)
    # The sides are as likely, so a random one is of the distribution itself.
    side = np.random.default_rng(0).random(MANY) < 0.5
    assert fits(np.where(side, own, 1 - own), alpha, 0.001, 0.999)


def simulated_shares(alpha: float, count: int, side: int) -> np.ndarray:
    """The share of a box in an image, as automl's `cutmix_mask` makes it."""
    generator = np.random.default_rng(1)
    cut = np.sqrt(1 - generator.beta(alpha, alpha, count)) * side
    half = cut.astype(int) // 2
    lengths = []
    for _ in range(2):
        centre = generator.integers(0, side, count)
        ends = np.clip(centre + half, 0, side), np.clip(centre - half, 0, side)
        lengths.append(ends[0] - ends[1])
    return lengths[0] * lengths[1] / side**2


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_cutmix(alpha):
    images, labels = noise(MANY, 8), one_hot(MANY, MANY)
    images[:, ..., 0], images[MANY // 2 :, ..., 0] = 0, 1  # the two halves mix; this tells them
    got, mixed = (each.numpy() for each in cutmix(floats(images), tf.constant(labels), SEED, alpha))
    other = got[..., 0] != images[..., 0]
    np.testing.assert_array_equal(got, np.where(other[..., None], images[::-1], images))
    rows, columns = other.any(axis=2), other.any(axis=1)
    np.testing.assert_array_equal(other, rows[:, :, None] & columns[:, None])
    for line in (rows, columns):  # no gaps
        assert (np.abs(np.diff(np.pad(line, ((0, 0), (1, 1))).astype(int))).sum(axis=1) <= 2).all()
    share = other.mean(axis=(1, 2))
    np.testing.assert_allclose(np.diag(mixed), 1 - share, atol=1e-6)
    np.testing.assert_allclose(np.diag(mixed[::-1])[::-1], share, atol=1e-6)
    assert stats.ks_2samp(share, simulated_shares(alpha, 20_000, 8)).pvalue > LIKELY


# --- together ------------------------------------------------------------------------------------


def test_both_mixings_take_half_of_the_batch_each():
    images = (
        np.full((41, 8, 8, 3), 0, np.uint8) + np.arange(41, dtype=np.uint8)[:, None, None, None]
    )
    got, labels = run(Policy(mixup=1.0, cutmix=1.0), images, labels=one_hot(41, 41))
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    for place in range(41):
        # 20 images reversed among themselves, then 21.
        mate = 19 - place if place < 20 else 60 - place
        assert set(np.flatnonzero(labels[place])) <= {place, mate}
        values = np.unique(got[place])
        if place < 20:
            assert len(values) == 1, "mixup"
            assert min(place, mate) - 1e-5 <= values[0] <= max(place, mate) + 1e-5
        else:
            assert set(values) <= {place, mate}, "cutmix"
    only = run(Policy(mixup=1.0), images, labels=one_hot(41, 41))[1]
    assert only[0, 40] > 0
    only = run(Policy(cutmix=1.0), images, labels=one_hot(41, 41))[1]
    assert only[:, ::-1].diagonal().max() > 0


def test_the_order_and_that_each_draws_for_itself():
    """Each by itself, one after the other, is all at once."""
    images, labels = noise(16), one_hot(16)
    policies = [Policy(crop=4), Policy(flip=True), Policy(randaugment=9.0), Policy(cutout=0.25)]
    whole = run(Policy(crop=4, flip=True, randaugment=9.0, cutout=0.25, mixup=0.5), images)
    step = images
    for policy in [*policies, Policy(mixup=0.5)]:
        step, labels = run(policy, step, labels=labels)
    np.testing.assert_allclose(whole[0], step, atol=1e-3)
    np.testing.assert_allclose(whole[1], labels, atol=1e-6)


def test_labels_add_up_to_one():
    for seed in (SEED, SEED + 1):
        images, labels = halves(noise(32), seed=seed)
        assert (labels >= 0).all()
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        assert images.min() >= 0
        assert images.max() <= 255


def digest(policy: Policy = ALL) -> str:
    images, labels = run(policy, noise(16))
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def test_the_seed_decides_in_any_process():
    code = f"import sys; sys.path.append({str(__file__.rpartition('/')[0])!r});"
    code += "import test_policy; print(test_policy.digest())"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == digest()
    for other in ([7, 9], [8, 8]):
        got = run(ALL, noise(16), tf.constant(other))[0]
        assert (got != run(ALL, noise(16))[0]).any(axis=(1, 2, 3)).all()


def test_an_image_depends_on_its_place_and_its_mate_alone():
    images = noise(16)
    changed = images.copy()
    changed[3] = 255 - changed[3]
    alone = Policy(flip=True, crop=4, cutout=0.25, randaugment=9.0)
    for policy, touched in ((alone, {3}), (Policy(mixup=1.0), {3, 12}), (ALL, {3, 4})):
        differ = (run(policy, images)[0] != run(policy, changed)[0]).any(axis=(1, 2, 3))
        assert set(np.flatnonzero(differ)) <= touched
        assert differ[3]
    # The same draws whatever follows in the batch.
    np.testing.assert_array_equal(run(alone, images[:5])[0], run(alone, images)[0][:5])


# --- compiled ------------------------------------------------------------------------------------

ways = pytest.mark.parametrize(
    "way", [sampling.INDICES, sampling.PRODUCTS], ids=("indices", "products")
)


@ways
def test_xla_gives_the_same(way):
    images = noise(32)
    plain, compiled = halves(images, way=way), halves(images, way=way, jit_compile=True)
    np.testing.assert_allclose(plain[1], compiled[1], atol=1e-5)
    # Fused arithmetic may round a tie the other way: a grey level, in a few pixels.
    far = np.abs(plain[0] - compiled[0]) > 1e-2
    assert far.mean() < 2e-3


@ways
def test_the_program_has_static_shapes_and_nothing_but_xla(way):
    inputs = tf.constant(noise(16)), tf.constant(one_hot(16)), SEED
    hlo = program(ALL, way, True).experimental_get_compiler_ir(*inputs)(stage="hlo")
    assert "ENTRY" in hlo
    assert "custom-call" not in hlo
    assert "<=" not in hlo, "a dynamic dimension"
    # What a TPU reads one by one is only for those who ask for it.
    assert (" scatter(" in hlo) == (way is sampling.INDICES)


def test_streams_are_told_apart():
    seeds = {tuple(module._seed_of(SEED, name).numpy()) for name in module._STREAMS}
    assert len(seeds) == len(module._STREAMS) == 7


# --- random resized crop --------------------------------------------------------------------------


def test_zoom_keeps_a_window_of_the_right_area_and_shape():
    """Of an image whose colours are its coordinates, the corners say which window was kept."""
    side = 64
    line = np.arange(side, dtype=np.float32) * 4
    image = np.stack([*np.meshgrid(line, line), np.zeros((side, side), np.float32)], axis=-1)
    images = tf.constant(np.broadcast_to(image, (MANY, side, side, 3)))
    got = zoom(images, SEED, 0.25, sampling.INDICES).numpy() / 4
    # Between the middles of the first and the last pixel lie 63 of 64 parts of the window.
    width = (got[:, 0, -1, 0] - got[:, 0, 0, 0]) / 63
    height = (got[:, -1, 0, 1] - got[:, 0, 0, 1]) / 63
    inner = (width < 0.97) & (height < 0.97) & (got[:, 0, 0, :2] > 0).all(axis=1)
    inner &= (got[:, -1, -1, :2] < side - 1).all(axis=1)
    area, ratio = (width * height)[inner], (width / height)[inner]
    assert inner.sum() > MANY / 3
    assert area.min() > 0.23
    assert area.max() < 1.02
    assert ratio.min() > 0.72
    assert ratio.max() < 1.39
    # The smallest windows and the largest are there.
    assert np.quantile(width * height, 0.02) == pytest.approx(0.265, abs=0.03)
    assert (np.abs(np.log(ratio)) > 0.2).any()
    places = got[:, 0, 0, 0][width < 0.7]
    assert places.min() < 2
    assert places.max() > 15


def test_zoom_is_pillows_bilinear_resize_of_the_window():
    images = noise(6, 40)
    draws = uniform((6, 4), SEED).numpy()
    got = zoom(floats(images), SEED, 0.1, sampling.INDICES).numpy()
    for image, result, (area, stretch, x, y) in zip(images, got, draws, strict=True):
        root = np.sqrt(0.1 + 0.9 * area)
        stretched = np.exp((stretch - 0.5) * np.log(4 / 3))
        width, height = min(1, root * stretched) * 40, min(1, root / stretched) * 40
        left, top = (40 - width) * x, (40 - height) * y
        box = (left, top, left + width, top + height)
        expected = Image.fromarray(image).resize((40, 40), Image.Resampling.BILINEAR, box)
        # Pillow looks no further than the window; at its border this looks at the pixels beside it.
        inside = np.abs(result - np.asarray(expected, np.float32))[6:-6, 6:-6]
        assert inside.max() <= 2


def test_a_tpu_zooms_to_the_same_and_nothing_else_changes():
    images = noise(8, 16)
    one, other = (
        zoom(floats(images), SEED, 0.3, way).numpy()
        for way in (sampling.INDICES, sampling.PRODUCTS)
    )
    assert np.abs(one - other).max() <= 1  # rounded
    plain = run(Policy(flip=True, cutout=0.2), images)[0]
    both = run(Policy(flip=True, cutout=0.2, zoom=1e-9), images)[0]
    assert plain.shape == both.shape
    compiled = run(Policy(zoom=0.3), images, jit_compile=True)[0]
    assert np.abs(compiled - run(Policy(zoom=0.3), images)[0]).max() <= 1
