"""Which L2 is chosen, and by whom."""

from dataclasses import replace

import numpy as np
import pytest

from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES
from effbench.records.l2_search import L2Search, L2Value
from effbench.records.scores import Scores
from effbench.training.regression import l2_grid
from effbench.training.regression.l2_grid import Examples, L2Task

CLASSES = 3
RECIPE = replace(RECIPES["linear-probe"], l2_from=1e-3, l2_to=1e3, l2_values=4)


def examples(counts: list[int], seed: int, groups: bool = False) -> Examples:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.eye(12)[labels] + random.normal(0, 0.6, (len(labels), 12))
    # Pairs, of one class unless a class has an odd number.
    numbers = 1_000 * seed + np.arange(len(labels)) // 2 if groups else None
    return Examples(features.astype(np.float32), labels, numbers)


def task(train: Examples, validation: Examples, recipe: Recipe = RECIPE) -> L2Task:
    return L2Task(train, validation, CLASSES, recipe, 1, lambda *_: None)


def value(l2: float, correct: int, converged: bool = True) -> L2Value:
    return L2Value(l2, Scores(9, 9, 9, 0.1), Scores(correct, 9, 9, 0.5), 1e-6, 7, converged)


def test_of_equals_the_stronger_is_chosen():
    search = L2Search((value(10, 5), value(1, 8), value(0.1, 8), value(0.01, 7)))
    assert search.chosen.l2 == 1


def test_what_is_not_solved_is_counted():
    assert L2Search((value(10, 5), value(1, 8))).unsolved == ""
    assert L2Search((value(10, 8), value(1, 8, False))).unsolved == "1 of 2 values of L2"
    some = L2Search((value(10, 5), value(1, 8, False)))
    assert some.unsolved == "1 of 2 values of L2, the chosen one too"


def test_what_is_not_solved_and_was_not_in_the_running_is_no_mark():
    assert L2Search((value(10, 5, False), value(1, 8), value(0.1, 7, False))).unsolved == ""


def test_a_grid_goes_from_the_strongest_to_the_weakest():
    grid = l2_grid.grid(RECIPES["linear-probe"])
    assert (grid[0], grid[-1], len(grid)) == (1e5, 1e-6, 45)
    np.testing.assert_allclose(np.diff(np.log10(grid)), -0.25)
    assert l2_grid.grid(replace(RECIPE, l2_from=2.0, l2_to=2.0, l2_values=1)) == [2.0]


def test_a_grid_is_past_use_when_the_loss_has_risen_for_eight_values():
    def rows(*scores: tuple[int, float]) -> L2Search:
        kept = [
            replace(value(10.0**-index, 5), validation=Scores(correct, 9, 9, loss))
            for index, (correct, loss) in enumerate(scores)
        ]
        return L2Search(tuple(kept))

    better, worse = [(4, 0.9), (7, 0.5)], [(6, 0.5 + 0.1 * step) for step in range(1, 9)]
    assert not rows(*better, *worse[:7]).past
    assert rows(*better, *worse).past
    assert not rows(*better, *worse[:7], (7, 1.5)).past  # as accurate as the best
    assert not rows(*better, *worse[:7], (6, 1.0)).past  # the loss falls again
    assert not rows(*worse).past  # there are no others than these
    # The loss rises from the strongest on: features that tell little, whose best is still to come.
    assert not rows((7, 0.5), *worse).past
    assert rows((7, 0.5), *worse).rising  # where effbench ended such a grid before


def test_a_grid_ends_where_weaker_l2_only_fits_the_training_images_better():
    random = np.random.default_rng(0)
    labels = np.arange(600) % CLASSES
    features = (np.eye(CLASSES)[labels] @ random.normal(size=(CLASSES, 150))).astype(np.float32)
    features = (0.35 * features + random.normal(size=features.shape)).astype(np.float32)
    parts = [Examples(features[half], labels[half]) for half in (slice(300), slice(300, 600))]
    recipe = RECIPES["linear-probe"]
    told = []
    search, head = l2_grid.search(
        replace(task(*parts, recipe), told=lambda *said: told.append(said))
    )
    assert len(search.values) < recipe.l2_values
    assert search.past
    assert not L2Search(search.values[:-1]).past
    assert head.scores(parts[1]) == search.chosen.validation
    assert told[-1][:2] == (45, 45)
    assert "only rises" in told[-1][2]
    # What was left out would not have been chosen.
    whole = [h.scores(parts[1]).correct for _, h in l2_grid._path(task(*parts, recipe), parts[0])]
    assert max(whole) == search.chosen.validation.correct


def test_validation_images_choose_where_each_class_has_five():
    train, validation = examples([20, 20, 20], 1), examples([5, 6, 7], 2)
    told = []
    search, head = l2_grid.search(
        replace(task(train, validation), told=lambda *said: told.append(said))
    )
    assert search.folds == 0
    assert [row.validation.total for row in search.values] == [18] * 4
    assert [row.train.total for row in search.values] == [60] * 4
    # The head is the chosen one's, and its scores are those in the grid.
    assert head.scores(validation) == search.chosen.validation
    assert head.scores(train) == search.chosen.train
    assert (head.kernel.dtype, head.bias.dtype) == (np.float32, np.float32)
    assert [done for done, *_ in told] == list(range(5))
    assert {total for _, total, _ in told} == {4}


@pytest.mark.parametrize("groups", [False, True])
def test_too_few_are_judged_with_the_training_images_by_folds(groups):
    train, validation = examples([20, 20, 20], 1, groups), examples([4, 6, 7], 2, groups)
    told = []
    search, head = l2_grid.search(
        replace(task(train, validation), told=lambda *said: told.append(said))
    )
    assert search.folds == 5
    # Each image counts once; the head that is kept has still not seen the validation images.
    assert [row.validation.total for row in search.values] == [77] * 4
    assert [row.train.total for row in search.values] == [60] * 4
    assert head.scores(train) == search.chosen.train
    assert [done for done, *_ in told] == list(range(25))
    assert {total for _, total, _ in told} == {24}


def test_folds_are_as_many_as_the_images_allow_and_no_group_is_in_two():
    train, validation = examples([2, 3, 3], 1, groups=True), examples([1, 1, 1], 2, groups=True)
    numbers = l2_grid._folded(task(train, validation)).fold_of
    assert set(numbers) == {0, 1, 2, 3}  # of the largest class there are four
    groups = train.joined(validation).groups
    assert len({*zip(groups, numbers, strict=True)}) == len({*groups})
    search, _ = l2_grid.search(task(train, validation))
    assert search.folds == 4
    assert all(row.converged for row in search.values)


def test_it_is_the_same_again():
    train, validation = examples([9, 9, 9], 1), examples([3, 3, 3], 2)
    (first, one), (second, other) = (l2_grid.search(task(train, validation)) for _ in range(2))
    assert first == second
    assert one.kernel.tobytes() == other.kernel.tobytes()
