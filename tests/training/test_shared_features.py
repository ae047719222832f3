"""Features of a split that several runs have are computed once."""

from pathlib import Path

import numpy as np
import pytest
from support import shallow
from support.records import spec

from effbench.config.recipes import RECIPES
from effbench.config.run_spec import WeightsId
from effbench.config.variants import VARIANTS
from effbench.data import datasets, few_shot
from effbench.engines.engine import TENSORFLOW
from effbench.hardware.devices import Device
from effbench.hardware.distribution import ALONE
from effbench.models import backbone
from effbench.progress import silent
from effbench.training.features import extraction, feature_cache
from effbench.training.features.joined import Joined
from effbench.training.interface import Setting
from effbench.training.job import Job
from effbench.training.phases import Phases


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        shallow.at_most(patch, "B0", 1)
        built = backbone.build(VARIANTS["B0"], 32, "float32")
    backbone.calibrate(built, 32, "torch", datasets.load("digits").train.pixels[:32])
    return built


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))


def setting(per_class, weights_sha256="of a file"):
    run = spec(
        recipe=RECIPES["linear-probe"], image_size=32, weights=WeightsId("none", "", "torch")
    )
    job = Job((run,), Path(), None, None, weights_sha256, "cpu", 0.0)
    images = few_shot.per_class(datasets.load("digits"), per_class)
    return Setting(job, images, Device("cpu", "", 1, ALONE), Phases(0.0), silent, lambda: False)


def sizes(of):
    return [len(split.labels) for split in of.dataset.splits]


def test_few_shot_runs_compute_test_features_once(model):
    few, more = setting(2), setting(5)
    *_, test = sizes(few)
    assert extraction.features(few, model).cached == 0
    second = extraction.features(more, model)
    assert second.cached == test
    assert [len(part) for part in second.parts] == sizes(more)
    assert extraction.features(setting(None), model).cached == test
    images = more.dataset.test.pixels[:32]
    alone = TENSORFLOW.compile(backbone.forward(model, 32, "torch", 32, 1))(images)[0]
    np.testing.assert_allclose(second.parts[-1][:32], alone, rtol=1e-4, atol=1e-5)
    assert extraction.features(few, model).cached == sum(sizes(few))


def test_random_networks_share_nothing_as_their_statistics_are_of_training_images(model):
    few, more = setting(2, ""), setting(5, "")
    assert extraction.features(few, model).cached == 0
    assert extraction.features(more, model).cached == 0
    assert extraction.features(few, model).cached == sum(sizes(few))


def test_a_set_of_all_images_from_before_is_still_used(model):
    few = setting(2)
    images = Joined([split.pixels for split in few.dataset.splits])
    about = extraction.feature_set(few, images, TENSORFLOW)
    run = TENSORFLOW.compile(backbone.forward(model, 32, "torch", 32, 1))
    kept = feature_cache.extract(run, 32, [(about, images)], extraction.cache.features(), silent)
    again = extraction.features(few, model)
    assert again.cached == len(images)
    np.testing.assert_array_equal(np.concatenate(again.parts), kept.values)
