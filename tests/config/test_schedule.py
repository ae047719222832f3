"""Steps and epochs by hand; stages against google/automl's own numbers for four of them."""

from dataclasses import replace

import pytest

from effbench.config import recipes, schedule
from effbench.config.schedule import split
from effbench.errors import UsageError


@pytest.mark.parametrize(
    ("variant", "sizes"),
    [
        ("B0", [144, 160, 176, 192]),
        ("B2", [148, 168, 188, 208]),
        ("B3", [156, 184, 212, 240]),
        ("S", [171, 214, 257, 300]),
        ("M", [192, 256, 320, 384]),
        ("XL", [192, 256, 320, 384]),
    ],
)
def test_sizes_grow_evenly_to_the_last(variant, sizes):
    stages = split(recipes.resolved("progressive", variant), sizes[-1])
    assert [stage.image_size for stage in stages] == sizes


def test_everything_grows_together():
    stages = split(recipes.resolved("progressive", "L"), 480)
    assert [stage.number for stage in stages] == [1, 2, 3, 4]
    assert [stage.image_size for stage in stages] == [240, 320, 400, 480]
    found = [(each.recipe.dropout, each.recipe.randaugment, each.recipe.mixup) for each in stages]
    expected = [(0.1 + 0.4 * k / 3, 5 + 20 * k / 3, 0.5 * k / 3) for k in range(4)]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("epochs", "ranges"),
    [
        (36, [range(9), range(9, 18), range(18, 27), range(27, 36)]),
        (5, [range(1), range(1, 2), range(2, 3), range(3, 5)]),
        (2, [range(1), range(1, 2)]),
        (1, [range(1)]),
    ],
)
def test_every_epoch_is_in_one_stage(epochs, ranges):
    recipe = replace(recipes.resolved("progressive", "B0"), epochs=epochs)
    stages = split(recipe, 224)
    assert [stage.epochs for stage in stages] == ranges
    assert stages[-1].image_size == 224  # however few, the last is at the run's own size


def test_without_stages_there_is_one_of_the_recipe_itself():
    recipe = recipes.get("finetune")
    (only,) = split(recipe, 224)
    assert (only.number, only.epochs, only.image_size) == (1, range(115), 224)
    assert only.recipe == recipe


def test_a_first_stage_that_is_too_small_is_refused():
    with pytest.raises(UsageError, match="images of 32 pixels at least: 16 in stage 1; give a"):
        split(replace(recipes.get("progressive"), first_size=0.5), 32)


HEAD = replace(recipes.get("case-study"), batch_size=128, epochs=25)
NETWORK = replace(recipes.get("finetune"), batch_size=512, steps=10_000, epochs=115)


def test_an_epoch_of_a_head_is_every_image_and_of_a_network_whole_batches():
    assert schedule.steps_per_epoch(HEAD, 45_000) == 352  # the last has 72 images
    assert schedule.images_in_epoch(HEAD, 45_000, 0) == 45_000
    assert schedule.steps_per_epoch(NETWORK, 45_000) == 87
    assert schedule.images_in_epoch(NETWORK, 45_000, 0) == 87 * 512
    assert schedule.steps_per_epoch(NETWORK, 511) == 0
    # The learning rate counts whole batches for both, and at least one.
    assert schedule.rate_steps(HEAD, 45_000) == 351
    assert schedule.rate_steps(NETWORK, 511) == 1


def test_steps_end_a_training_within_an_epoch():
    assert schedule.epochs(NETWORK, 45_000) == schedule.epochs_for_steps(NETWORK, 45_000, 10_000)
    assert schedule.epochs(NETWORK, 45_000) == 115  # 114 of 87 steps, and 82 more
    steps = [schedule.steps_in_epoch(NETWORK, 45_000, epoch) for epoch in range(117)]
    assert steps == [87] * 114 + [82, 0, 0]
    assert schedule.images_in_epoch(NETWORK, 45_000, 114) == 82 * 512
    assert schedule.images_in_epoch(NETWORK, 45_000, 115) == 0


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (87, 1), (88, 2), (None, 115)])
def test_a_training_has_as_many_epochs_as_its_steps_take(steps, epochs):
    assert schedule.epochs(replace(NETWORK, steps=steps), 45_000) == epochs
