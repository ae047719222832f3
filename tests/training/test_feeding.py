"""Images that are fed piece by piece give what held ones give, to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from support import tiny
from support.photos import MappedRows

from effbench.config import schedule
from effbench.hardware.distribution import ALONE
from effbench.hardware.tensorflow_setup import tf
from effbench.models import preprocessing
from effbench.training import feeding
from effbench.training.evaluate import Evaluator
from effbench.training.features import inputs
from effbench.training.fine_tuning import fine_tune

IMAGE_BYTES = 32 * 32 * 3


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> fine_tune.Trained:
    """A training whose images are all on the device."""
    return tiny.train(tiny.task(), tiny.hooks(tmp_path_factory.mktemp("held"), minutes=1e9))


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_fed_training_is_held_training_to_the_bit(steps, held, tmp_path, monkeypatch):
    monkeypatch.setattr(feeding, "PIECE_BYTES", steps * tiny.RECIPE.batch_size * IMAGE_BYTES)
    images, _ = tiny.data()
    rows = MappedRows(images[: tiny.IMAGES])
    task = tiny.task()
    feed = feeding.StepFeed(rows, task.recipe.batch_size)
    fed = tiny.train(
        replace(task, images=tf.identity, feed=feed), tiny.hooks(tmp_path, minutes=1e9)
    )
    assert held.history == fed.history
    assert held.epochs == fed.epochs
    assert held.weights.keys() == fed.weights.keys()
    for epoch, weights in held.weights.items():
        for held_weight, fed_weight in zip(weights, fed.weights[epoch], strict=True):
            assert held_weight.tobytes() == fed_weight.tobytes()
    # Each epoch has four steps.
    assert max(rows.read) <= min(steps, 4) * task.recipe.batch_size


def test_a_piece_is_read_while_the_one_before_is_used():
    rows = MappedRows(np.arange(40 * 12, dtype=np.uint8).reshape(40, 2, 2, 3))
    feed = feeding.StepFeed(rows, 4)
    feed._block = 2
    order = np.random.default_rng(0).permutation(40).astype(np.int32).reshape(10, 4)
    assert [feed.most(step) for step in range(4)] == [2, 1, 2, 1]
    for first, last in ((0, 1), (1, 2), (2, 4), (4, 6), (6, 7), (7, 8), (8, 10)):
        pixels = feed.pixels(order, first, last)
        np.testing.assert_array_equal(pixels, rows.values[order[first:last]])
    assert rows.read == [8] * 5  # each piece once
    other = order[::-1].copy()
    np.testing.assert_array_equal(feed.pixels(other, 5, 6), rows.values[other[5:6]])


def test_what_is_made_ahead_comes_in_order():
    assert list(feeding.ahead(lambda number: number**2, range(5))) == [0, 1, 4, 9, 16]
    assert not list(feeding.ahead(abs, []))


@pytest.mark.parametrize("images", [5, 128, 300])
def test_fed_evaluation_is_held_evaluation_to_the_bit(images, monkeypatch):
    monkeypatch.setattr(feeding, "PIECE_BYTES", 128 * IMAGE_BYTES)
    values = np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), np.uint8)
    model, _ = tiny.build(norm=False, depth=0.0)

    def features(pixels: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(model(preprocessing.prepare(pixels, 32, "tf")), axis=(1, 2))

    random = np.random.default_rng(1)
    head = random.normal(size=(2, 8, 3)).astype(np.float32), np.zeros((2, 3), np.float32)
    held = Evaluator(inputs.gathered(values, ALONE, features), images).logits(*head)
    rows = MappedRows(values)
    fed = Evaluator(features, images, rows=rows).logits(*head)
    assert held.shape == (2, images, 3)
    assert held.tobytes() == fed.tobytes()
    assert max(rows.read) <= 128


def test_a_fed_training_goes_on_in_the_middle_of_a_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(fine_tune, "PIECE_SECONDS", 0.0)
    monkeypatch.setattr(feeding, "PIECE_BYTES", 3 * tiny.RECIPE.batch_size * IMAGE_BYTES)
    images, _ = tiny.data()

    def task():
        feed = feeding.StepFeed(MappedRows(images[: tiny.IMAGES]), tiny.RECIPE.batch_size)
        return replace(tiny.task(), images=tf.identity, feed=feed)

    whole = tiny.train(task(), tiny.hooks(tmp_path / "whole"))
    seen = iter(range(1, 100))
    hooks = replace(tiny.hooks(tmp_path / "stopped"), stopped=lambda: next(seen) == 6)
    with pytest.raises(fine_tune.PreemptedError):
        tiny.train(task(), hooks)
    again = tiny.train(task(), tiny.hooks(tmp_path / "stopped"))
    assert again.history == whole.history
    assert schedule.steps_per_epoch(tiny.RECIPE, tiny.IMAGES) == 4
