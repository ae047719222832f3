"""The programs of a plan are those of the run: the same functions, called as often."""

import math
from dataclasses import replace

import pytest
from support import tiny
from support.records import spec

from effbench.config.recipes import RECIPES
from effbench.data import datasets
from effbench.data.outline import Outline
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.tpu_plan import programs
from effbench.training import evaluate
from effbench.training.features import feature_cache
from effbench.training.heads import head_step
from effbench.training.replica_program import Program

pytestmark = pytest.mark.usefixtures("shallow_networks")

REPLICAS = 8
CIFAR10 = datasets.outline("cifar10")


@pytest.fixture(scope="module")
def found() -> dict[str, Program]:
    small = spec(image_size=32, precision="mixed_bfloat16")
    try:
        listed = programs.programs(small, CIFAR10, None, REPLICAS)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    return {each.name: each for each in listed}


def test_the_first_is_the_network(found):
    assert list(found) == ["features", "head step", "validation", "last validation", "test"]


def test_functions_are_the_runs_own(found):
    step = found["head step"].function
    assert step.__func__ is head_step.HeadTrainer.step
    for name in ("validation", "last validation", "test"):
        assert found[name].function.__func__ is evaluate.Evaluator.share
        assert found[name].body.function.__func__ is evaluate.Evaluator.share


def test_features_go_by_the_batches_of_the_run(found):
    program = found["features"]
    batch = feature_cache.batch_size(32, "tpu", REPLICAS)
    (images,) = program.inputs
    assert (images.shape, images.dtype) == ((batch, 32, 32, 3), tf.uint8)
    calls = [math.ceil(part / (batch * REPLICAS)) for part in [feature_cache.CHUNK] * 234 + [96]]
    assert 234 * feature_cache.CHUNK + 96 == 60_000
    assert (program.images, program.calls) == (batch, sum(calls))


def test_another_batch_is_taken_as_asked():
    small = spec(image_size=32)
    program = programs.programs(small, CIFAR10, 24, REPLICAS)[0]
    assert program.inputs[0].shape == (24, 32, 32, 3)
    assert (program.images, program.calls) == (24, math.ceil(60_000 / (24 * REPLICAS)))


def test_the_head_takes_every_step_of_every_epoch(found):
    program = found["head step"]
    recipe = RECIPES["case-study"]
    assert [tuple(each.shape) for each in program.inputs] == [(128,), (128,), (128,), (2,)]
    assert (program.images, program.calls) == (16, recipe.epochs * 352)


def test_evaluations_are_those_of_the_run(found):
    turns = {"validation": 40, "last validation": 40, "test": 79}
    for name, heads, calls in (("validation", 1, 25), ("last validation", 3, 1), ("test", 3, 1)):
        program = found[name]
        assert (program.calls, program.turns) == (calls, turns[name])
        assert program.images == 16 * turns[name]
        assert program.inputs[1].shape == (heads, 1280, 10)
        assert program.body.images == 16


def test_photos_come_at_the_networks_own_size_and_without_a_test_split_nothing_is_tested():
    """The features of a head; a folder has two splits."""
    listed = programs.programs(spec(image_size=64, classes=3), Outline((90, 12), 3), None, REPLICAS)
    names = ["features", "head step", "validation", "last validation"]
    assert [program.name for program in listed] == names
    features, step, *evaluations = listed
    assert features.inputs[0].shape[1:] == (64, 64, 3)
    assert step.calls == RECIPES["case-study"].epochs
    assert {program.inputs[1].shape[-1] for program in evaluations} == {3}


def test_a_whole_network_is_handed_its_photos_and_looks_others_up(monkeypatch):
    monkeypatch.setattr(backbone, "trainable", lambda *_: tiny.build())
    recipe = replace(RECIPES["finetune"], batch_size=32, epochs=2, flip=False, cutout=0.0)
    asked = spec(recipe=recipe, image_size=64, classes=3)
    (step, evaluation), (other_step, other_evaluation) = (
        programs.programs(asked, outline, None, REPLICAS)
        for outline in (Outline((90, 300), 3), Outline((90, 300, 40), 3, 32))
    )
    assert (step.inputs[0].shape, step.inputs[0].dtype) == ((32, 64, 64, 3), tf.uint8)
    assert (other_step.inputs[0].shape, other_step.inputs[0].dtype) == ((32,), tf.int32)
    assert evaluation.inputs[0].shape == (1, 16, 64, 64, 3)
    assert other_evaluation.inputs[0].shape == (1, 16)
    # 300 images, 128 at once, after both epochs and at the end of both; and 40 test images, where
    # there are any, of both.
    assert (step.calls, evaluation.calls) == (4, 12)
    assert (other_step.calls, other_evaluation.calls) == (4, 14)
    # Beside a step lie the images of the other splits, if any lie there; beside a turn of
    # evaluation, the two other turns of the 300 that came with it.
    assert (step.held, other_step.held) == (0, 340 * 32 * 32 * 3)
    rest = other_evaluation.held - 430 * 32 * 32 * 3
    assert evaluation.held == rest + 2 * 16 * 64 * 64 * 3
    # What they are handed is what they take; this network has 8 features.
    pixels, _, bias = evaluation.inputs
    head = tf.TensorSpec((1, 8, 3), tf.float32)
    for program, given in ((step, step.inputs), (evaluation, (pixels, head, bias))):
        tf.function(program.function, autograph=False).get_concrete_function(*given)


def test_frozen_stages_are_a_program_of_their_own_where_their_maps_are_kept():
    recipe = replace(RECIPES["finetune-adabelief"], unfreeze="stage5")
    small = spec(image_size=32, recipe=recipe)
    step, evaluation, frozen = programs.programs(small, CIFAR10, None, REPLICAS)
    maps = (2, 2, 96)
    assert step.inputs[0] == tf.TensorSpec((128, *maps), tf.float32)
    assert evaluation.inputs[0].shape[2:] == maps
    assert (frozen.name, frozen.inputs[0].dtype) == ("frozen stages", tf.uint8)
    # Augmented, the frozen stages run in each step, on images that are looked up.
    flipped = replace(small, recipe=replace(recipe, flip=True))
    step, evaluation = programs.programs(flipped, CIFAR10, None, REPLICAS)
    assert step.inputs[0] == tf.TensorSpec((128,), tf.int32)
