"""Frozen stages: computed once, they train the rest as in every step, and stay as they were."""

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import shallow, tiny
from support.records import RANDOM, result, spec

from effbench.config.recipe_settings import changed
from effbench.config.recipes import RECIPES
from effbench.config.schedule import split
from effbench.config.variants import VARIANTS
from effbench.data import datasets
from effbench.data.splits import Dataset
from effbench.errors import DiskError
from effbench.hardware.devices import Device
from effbench.hardware.distribution import ALONE
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone, parts, preprocessing
from effbench.progress import Step
from effbench.records import describe
from effbench.report import cost
from effbench.training.features import feature_cache, inputs
from effbench.training.feeding import StepFeed
from effbench.training.fine_tuning import fine_tune_step, frozen_maps
from effbench.training.interface import Setting
from effbench.training.job import Job
from effbench.training.phases import Phases

DEVICE = Device("cpu", "", 1, ALONE)
STILL = replace(
    tiny.RECIPE, stages=1, mixup=0.0, cutout=0.0, flip=False, dropout=0.2, layer_decay=0.9
)


def test_what_augments_has_no_maps_to_keep():
    plain = RECIPES["finetune-adabelief"]
    assert not plain.keeps_maps
    assert changed(plain, ["unfreeze=stage5"]).keeps_maps
    for setting in ("flip=yes", "crop=4", "cutout=0.2", "mixup=0.1", "stages=2", "crop_scale=0.5"):
        assert not changed(plain, ["unfreeze=stage5", setting]).keeps_maps


def halves() -> tuple[keras.Model, keras.Model, object]:
    """The tiny network, cut behind its BatchNorm."""
    model, noise = tiny.build()
    middle = model.get_layer("norm").output
    frozen, rest = keras.Model(model.input, middle), keras.Model(middle, model.output)
    frozen.trainable = False
    return frozen, rest, noise


def after(kept: bool) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """The rest and the frozen part after three steps, and their losses."""
    frozen, rest, noise = halves()
    task = tiny.task(STILL)
    before = [array.copy() for array in frozen.get_weights()]
    if kept:
        images, _ = tiny.data()
        prepared = preprocessing.prepare(tf.constant(images[: tiny.IMAGES]), tiny.SIZE, "tf")
        maps = frozen(prepared, training=False).numpy()
        feed = StepFeed(maps, STILL.batch_size)
        task = replace(task, images=frozen_maps.decoded, feed=feed, maps=True)
    trainer = fine_tune_step.NetworkTrainer(rest, noise, task, frozen)
    order = np.arange(48, dtype=np.int32).reshape(3, 16)
    (stage,) = split(STILL, tiny.SIZE)
    losses, _ = trainer.run(stage, order, 0, 3, 0)
    for now, then in zip(frozen.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)  # BatchNorm's statistics, too
    return trainer.weights(), rest.get_weights(), losses


def test_maps_that_are_kept_train_as_those_of_every_step():
    (kept, rest, losses), (direct, _, others) = after(True), after(False)
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    for ours, theirs in zip(kept, direct, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert len(rest) == 1  # the second convolution alone


@pytest.fixture(scope="module")
def network() -> tuple[keras.Model, Job, Dataset]:
    """B0 with few blocks, cut before its second stage, and what it is to be trained on."""
    with pytest.MonkeyPatch.context() as patch:
        shallow.at_most(patch, "B0", 1)
        model, _ = backbone.trainable(VARIANTS["B0"], "float32", 0.8)
    recipe = replace(RECIPES["finetune-adabelief"], unfreeze="stage2")
    run = spec(recipe=recipe, image_size=32, weights=RANDOM)
    job = Job((run,), Path(), None, None, "", "cpu", 0.0)
    return model, job, datasets.load("digits").limited(300)


def setting(job, dataset, report):
    return Setting(job, dataset, DEVICE, Phases(0.0), report, lambda: False)


def test_every_split_is_computed_once_and_evaluated_as_the_whole_network_is(
    network, tmp_path, monkeypatch
):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))
    model, job, dataset = network
    frozen, rest = parts.cut(model, "stage2")
    steps: list[Step] = []
    maps = frozen_maps.of(setting(job, dataset, steps.append), frozen)
    counts = [len(part.labels) for part in dataset.splits]
    assert [len(rows) for rows in maps.splits] == counts
    assert (maps.computed, maps.cached) == (sum(counts), 0)
    size = sum(counts) * 16 * 16 * 16 * 4
    assert steps[0].phase.startswith(f"frozen stages: {size / 1e6:.2f} MB for the input of stage2")
    # From one chunk to the next, and in any order.
    chosen = np.array([feature_cache.CHUNK, 3, feature_cache.CHUNK - 1])
    prepared = preprocessing.prepare(tf.constant(dataset.train.pixels[chosen]), 32, "torch")
    np.testing.assert_allclose(
        maps.splits[0][chosen], frozen(prepared, training=False), rtol=1e-4, atol=1e-4
    )
    run = job.specs[0]
    head = np.random.default_rng(0).normal(size=(1, 1280, 10)).astype(np.float32), np.zeros((1, 10))
    held = [array.astype(np.float32) for array in head]
    ours = frozen_maps.evaluator(maps.splits[2], rest, DEVICE).logits(*held)
    theirs = inputs.evaluator(dataset.splits[2], run, model, DEVICE).logits(*held)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    again = frozen_maps.of(setting(job, dataset, steps.append), frozen)
    assert (again.computed, again.cached) == (0, sum(counts))


def test_maps_that_do_not_fit_are_refused_before_any_is_computed(network, tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))
    usage = namedtuple("usage", "total used free")(10**7, 0, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    model, job, dataset = network
    frozen, _ = parts.cut(model, "stage2")
    with pytest.raises(DiskError, match=r"do not fit into the cache: 7.37 MB for .* 0.50 MB are"):
        frozen_maps.of(setting(job, dataset, lambda _: None), frozen)
    assert not [*tmp_path.rglob("*.npy")]


def test_bfloat16_is_kept_bit_for_bit():
    maps = tf.constant([1.5, -3.140625, 1e-30], tf.bfloat16)
    kept = tf.bitcast(maps, tf.uint16).numpy()
    assert kept.dtype == frozen_maps.map_dtype(spec(precision="mixed_bfloat16"))
    decoded = frozen_maps.decoded(tf.constant(kept))
    assert decoded.dtype == tf.bfloat16
    np.testing.assert_array_equal(decoded, maps)


def test_what_is_frozen_is_said_and_its_pace_is_none_of_the_networks():
    recipe = replace(RECIPES["finetune-adabelief"], unfreeze="stage5")
    said = dict(describe.of_spec(spec(recipe=recipe)))["trained"]
    start = "from stage5 on; the stages before it are frozen, computed once and kept"
    assert said == f"{start} (in every step where several hosts train)"
    flipped = spec(recipe=replace(recipe, flip=True))
    assert "run in every step" in dict(describe.of_spec(flipped))["trained"]
    assert "trained" not in dict(describe.of_spec(spec(recipe=replace(recipe, unfreeze="all"))))
    assert cost.of([result(spec=spec(recipe=recipe))]).images_per_second is None
