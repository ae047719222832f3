"""Features are computed once, whatever is interrupted, damaged or done at the same time."""

import errno
import io
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from effbench import progress
from effbench.engines.engine import TENSORFLOW
from effbench.errors import DiskError
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.training.features import feature_cache
from effbench.training.features.feature_cache import FeatureSet

IMAGES = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), np.uint8)
BATCH = 8
CHUNK = 16
CHUNKS = 5  # of 16, 16, 16, 16 and 6 images
BATCHES = 9
ABOUT = FeatureSet("B0", "w", 32, "torch", "float32", "cpu", "software", "images")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(feature_cache, "CHUNK", CHUNK)


class Backbone:
    """A cheap stand-in that counts its forward passes, and fails after `limit` of them."""

    def __init__(self, limit: int = 1000) -> None:
        self.calls = tf.Variable(0)
        self.limit = limit

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        works = tf.debugging.assert_less(self.calls, self.limit, "the power went out")
        with tf.control_dependencies([works]):
            self.calls.assign_add(1)
        rows = tf.reshape(tf.cast(images, tf.float32), (BATCH, -1))
        return tf.stack([tf.reduce_mean(rows, axis=1), rows[:, 0], rows[:, -1]], axis=1)

    @property
    def count(self) -> int:
        return int(self.calls)


def expected(images: np.ndarray = IMAGES) -> np.ndarray:
    rows = images.reshape(len(images), -1).astype(np.float32)
    return np.stack([rows.mean(axis=1), rows[:, 0], rows[:, -1]], axis=1)


def never_wait(step: progress.Step) -> None:
    """A lock that was left behind must fail the test, not hang it."""
    assert step.phase != "wait", "the set is still locked"


def extract(run, folder: Path, about: FeatureSet = ABOUT, images: np.ndarray = IMAGES):
    sets = [(about, images)]
    return feature_cache.extract(TENSORFLOW.compile(run), BATCH, sets, folder, never_wait)


def check(found: feature_cache.Features, cached: int) -> None:
    assert found.values.shape == (len(IMAGES), 3)
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, expected(), rtol=1e-5)
    assert found.cached == cached


def chunk_files(folder: Path, about: FeatureSet = ABOUT) -> list[Path]:
    return sorted((folder / about.key).glob("*.npy"))


def test_every_image_is_computed_once_and_in_its_place(tmp_path):
    run = Backbone()
    check(extract(run, tmp_path), cached=0)
    assert run.count == BATCHES
    assert len(chunk_files(tmp_path)) == CHUNKS


def test_features_of_a_real_backbone_are_the_models_own_output(tmp_path):
    from effbench.config.variants import VARIANTS
    from effbench.models import backbone

    model = backbone.build(VARIANTS["B0"], 32, "float32")
    # With as many images as this the statistics are sound, and rounding is not blown up.
    backbone.calibrate(model, 32, "torch", IMAGES)
    images = IMAGES[:21]
    run = backbone.forward(model, 32, "torch", BATCH, 2)
    found = extract(run, tmp_path, images=images)
    layer = keras.layers.Normalization(
        mean=np.array([0.485, 0.456, 0.406]) * 255,
        variance=(np.array([0.229, 0.224, 0.225]) * 255) ** 2,
    )
    maps = model(layer(tf.cast(images, tf.float32)), training=False)
    output = keras.layers.GlobalAveragePooling2D()(maps).numpy()
    assert output.std() > 0.01
    # Random weights blow rounding up, by how much depends on the kernels that TensorFlow picks in
    # this process: 1.2e-4 was seen, of features with a spread of 0.5. One inverted pixel changes
    # them by 0.02 to 0.8.
    np.testing.assert_allclose(found.values, output, rtol=1e-3, atol=1e-3 * output.std())
    again = extract(Backbone(0), tmp_path, images=images)
    np.testing.assert_array_equal(again.values, found.values)


def test_the_second_time_nothing_is_computed(tmp_path):
    first = extract(Backbone(), tmp_path)
    run = Backbone()
    second = extract(run, tmp_path)
    assert run.count == 0
    check(second, cached=len(IMAGES))
    np.testing.assert_array_equal(first.values, second.values)


@pytest.mark.parametrize(("calls", "whole_chunks"), [(0, 0), (1, 0), (2, 1), (5, 2), (8, 4)])
def test_an_interrupted_extraction_goes_on_where_it_stopped(tmp_path, calls, whole_chunks):
    broken = Backbone(calls)
    with pytest.raises(tf.errors.InvalidArgumentError, match="power"):
        extract(broken, tmp_path)
    assert broken.count == calls
    run = Backbone()
    check(extract(run, tmp_path), cached=whole_chunks * CHUNK)
    assert run.count == BATCHES - 2 * whole_chunks


def test_an_exception_releases_the_lock_at_once(tmp_path):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        extract(Backbone(3), tmp_path)
    # While the exception and its frames are alive, as in a debugger or an "except" clause.
    check(extract(Backbone(), tmp_path), cached=CHUNK)
    assert caught.value is not None


def named(number: int, content: bytes) -> str:
    """A file name that fits its content."""
    return f"{number:05d}-{sha256(content).hexdigest()[:16]}.npy"


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def replace_by(content: bytes):
    """Another file in the chunk's place, with a name that fits it."""

    def harm(path: Path) -> None:
        path.unlink()
        (path.parent / named(2, content)).write_bytes(content)

    return harm


HARMS = {
    "a flipped bit": flip,
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "gone": lambda path: path.unlink(),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "another chunk's content": lambda path: shutil.copy(
        next(path.parent.glob("00001-*.npy")), path
    ),
    "too many rows": replace_by(npy(np.ones((CHUNK + 1, 3), np.float32))),
    "no npy at all": replace_by(b"<html>hello</html>"),
    "another width": replace_by(npy(np.ones((CHUNK, 4), np.float32))),
    "another dtype": replace_by(npy(np.full((CHUNK, 3), "x"))),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
def test_a_damaged_or_foreign_chunk_is_computed_again_and_alone(tmp_path, harm):
    extract(Backbone(), tmp_path)
    harm(chunk_files(tmp_path)[2])
    run = Backbone()
    check(extract(run, tmp_path), cached=len(IMAGES) - CHUNK)
    assert run.count == 2
    last = Backbone()
    check(extract(last, tmp_path), cached=len(IMAGES))
    assert last.count == 0


def test_a_chunk_of_another_set_is_not_taken_for_ones_own(tmp_path):
    other = replace(ABOUT, preprocessing="tf")
    extract(Backbone(), tmp_path)
    negative = Backbone()
    extract(lambda images: -negative(images), tmp_path, other)
    mine, foreign = chunk_files(tmp_path)[1], chunk_files(tmp_path, other)[1]
    mine.unlink()
    shutil.copy(foreign, mine.parent)
    check(extract(Backbone(), tmp_path), cached=len(IMAGES) - CHUNK)


def test_a_broken_copy_beside_a_whole_chunk_does_no_harm(tmp_path):
    extract(Backbone(), tmp_path)
    third = chunk_files(tmp_path)[2]
    for name in ("00002-0000000000000000.npy", "00002-ffffffffffffffff.npy"):
        (third.parent / name).write_bytes(b"half a chunk")
    (third.parent / ".00002-half.npy.77.tmp").write_bytes(b"left by kill -9")
    run = Backbone()
    check(extract(run, tmp_path), cached=len(IMAGES))
    assert run.count == 0


@pytest.mark.parametrize("field", [field.name for field in fields(FeatureSet)])
def test_every_field_is_in_the_key(tmp_path, field):
    numbers = {"image_size": 64, "version": 2, "batch": 64}
    other = replace(ABOUT, **{field: numbers.get(field) or getattr(ABOUT, field) + "2"})
    assert other.key != ABOUT.key
    assert "/" not in other.key
    extract(Backbone(), tmp_path)
    run = Backbone()
    assert extract(run, tmp_path, other).cached == 0
    assert run.count == BATCHES


def test_the_key_does_not_depend_on_the_process():
    assert ABOUT.key == replace(ABOUT).key
    assert ABOUT.key == "B0-32-torch-float32-ce3dd00d8a6b"  # as before there were versions


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_is_a_disk_error_and_leaves_nothing_half_done(tmp_path, monkeypatch, number):
    synced = []
    fsync = os.fsync

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 6:  # about.json and two chunks, each a file and its folder
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskError, match="B0-32") as caught:
            extract(Backbone(), tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*.tmp")) == []
    run = Backbone()
    check(extract(run, tmp_path), cached=2 * CHUNK)
    assert run.count == BATCHES - 4


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DiskError, match="file"):
        extract(Backbone(), tmp_path / "file" / "features")


def test_a_lock_that_cannot_be_made_is_a_disk_error(tmp_path, monkeypatch):
    """The first thing that a disk which became read-only refuses is the lock file."""
    extract(Backbone(), tmp_path)
    opened = os.open

    def read_only(path, flags, *arguments, **named):
        if str(path).endswith(".lock") and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", read_only)
    try:
        found = extract(Backbone(), tmp_path)
    except DiskError:
        return
    check(found, cached=len(IMAGES))  # reading what is there without a lock would do as well


def test_two_at_once_compute_a_set_once(tmp_path):
    runs = [Backbone(), Backbone()]
    at_work, waiting = threading.Event(), threading.Event()

    def first(step: progress.Step) -> None:
        if step.phase == "features" and step.done == 0:
            at_work.set()
            assert waiting.wait(30), "the second did not notice the first"

    def second(step: progress.Step) -> None:
        if step.phase == "wait":
            waiting.set()

    def go(run: Backbone, report: progress.Report) -> feature_cache.Features:
        return feature_cache.extract(
            TENSORFLOW.compile(run), BATCH, [(ABOUT, IMAGES)], tmp_path, report
        )

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(go, runs[0], first)
        assert at_work.wait(30)
        two = pool.submit(go, runs[1], second)
        check(one.result(60), cached=0)
        check(two.result(60), cached=len(IMAGES))
    assert [run.count for run in runs] == [BATCHES, 0]


def test_progress_counts_every_image(tmp_path):
    steps: list[progress.Step] = []
    program = TENSORFLOW.compile(Backbone())
    others = replace(ABOUT, images_sha256="others")
    sets = [(ABOUT, IMAGES[:40]), (others, IMAGES[40:])]
    feature_cache.extract(program, BATCH, sets, tmp_path, steps.append)
    done = [step.done for step in steps if step.phase == "features"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(IMAGES))
    assert {step.total for step in steps} == {len(IMAGES)}


@pytest.mark.parametrize("device", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("size", [32, 224, 260, 300, 384, 480, 512])
def test_batches_fill_chunks(monkeypatch, device, size):
    monkeypatch.undo()
    assert feature_cache.CHUNK % feature_cache.batch_size(size, device) == 0
