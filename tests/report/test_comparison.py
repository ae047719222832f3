"""What changed between two sets of results, and when that fails a build."""

from dataclasses import replace

import numpy as np
import pytest
from support.outcomes import finished, group
from support.records import failure, released, spec

from effbench.config.recipes import RECIPES
from effbench.errors import EffbenchError, UsageError
from effbench.records.store import Store
from effbench.report.comparison import compare
from effbench.report.render import comparison_table


@pytest.fixture
def sides(tmp_path) -> tuple[Store, Store]:
    return Store(tmp_path / "base"), Store(tmp_path / "new")


def run(sides: tuple[Store, Store]):
    return compare(*(str(side.directory) for side in sides))


def fails(found, max_drop: float = 0.3, alpha: float = 0.05) -> list[bool]:
    return [change.fails(max_drop, alpha) for change in found.changes]


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_large_drop_fails(seeds, sides):
    group(sides[0], [0.90] * seeds)
    group(sides[1], [0.85] * seeds)
    found = run(sides)
    assert fails(found) == [True]
    assert fails(found, max_drop=6) == [False]
    (change,) = found.changes
    assert change.base - change.new == pytest.approx(5, abs=1.5)
    assert change.difference.high < 0
    assert "FELL" in comparison_table.as_text(found, 0.3, 0.05)


def test_runs_without_seeds_say_all_that_there_is_to_say(sides):
    for side, rate in zip(sides, (0.90, 0.85), strict=True):
        group(side, [rate], recipe=RECIPES["linear-probe"])
    found = run(sides)
    assert fails(found) == [True]
    (change,) = found.changes
    assert (change.difference.test, change.difference.of_these_seeds) == ("McNemar", False)
    text = comparison_table.as_text(found, 0.3, 0.05)
    assert "one seed" not in text
    assert "- -> -" in text


def test_another_recipe_is_set_against_the_one_of_the_other_side(sides):
    group(sides[0], [0.85, 0.86, 0.87])
    group(sides[1], [0.90], recipe=RECIPES["linear-probe"])
    found = run(sides)
    (change,) = found.changes
    assert change.name == "B0-imagenet-224-case-study-cifar10 -> linear-probe"
    assert "recipe case-study -> linear-probe" in change.remark
    assert "epochs" not in change.remark
    assert (change.difference.test, change.difference.of_these_seeds) == ("paired t", False)
    assert (found.only_base, found.only_new) == ((), ())
    assert "one seed" not in comparison_table.as_text(found, 0.3, 0.05)
    # With a second recipe on a side nobody knows which is meant; of the same one, there is no need.
    group(sides[1], [0.91], recipe=RECIPES["finetune"])
    with pytest.raises(EffbenchError, match="nothing to compare"):
        run(sides)
    group(sides[1], [0.85, 0.86, 0.87])
    (same,) = run(sides).changes
    assert same.name == "B0-imagenet-224-case-study-cifar10"
    assert len(run(sides).only_new) == 2


def test_the_same_run_is_compared_although_a_changed_one_lies_beside_it(sides):
    probe = RECIPES["linear-probe"]
    for side in sides:
        group(side, [0.9], recipe=probe)
    group(sides[0], [0.8], recipe=replace(probe, standardize=True))
    (change,) = run(sides).changes
    assert (change.base, change.p) == (change.new, 1)
    (missing,) = run(sides).only_base
    assert missing.endswith(" (NEW has no such row)")
    # What is left is compared by its name.
    group(sides[1], [0.7], recipe=replace(probe, standardize=True, l2_values=5))
    same, other = run(sides).changes
    assert "l2_values 45 -> 5" in other.remark
    assert "l2_values" not in same.remark
    assert run(sides).unchecked == ()


def test_no_other_recipe_takes_the_place_of_a_missing_row(sides):
    """Else `--require-all` would pass where a row that was there before is missing."""
    for side in sides:
        group(side, [0.9], variant="T")
    group(sides[0], [0.9])
    group(sides[1], [0.9], recipe=RECIPES["linear-probe"])
    assert [change.name for change in run(sides).changes] == ["T-imagenet-320-case-study-cifar10"]
    assert run(sides).unchecked == (
        "B0-imagenet-224-case-study-cifar10 (NEW has it by linear-probe alone)",
    )


def test_a_row_that_several_could_be_compared_with_says_so(sides):
    for side in sides:
        group(side, [0.9], variant="T")
    group(sides[0], [0.9])
    group(sides[0], [0.9], recipe=RECIPES["case-study-2021"])
    probe = RECIPES["linear-probe"]
    group(sides[1], [0.9], recipe=probe)
    recipes = "several rows of BASE differ only by their recipe: case-study, case-study-2021"
    assert run(sides).unchecked == (
        f"B0-imagenet-224-case-study-cifar10 ({recipes})",
        f"B0-imagenet-224-case-study-2021-cifar10 ({recipes})",
    )
    group(sides[1], [0.9], recipe=replace(probe, standardize=True))
    numbers = "several rows of NEW differ only by standardize"
    assert run(sides).unchecked[0].endswith(f"({recipes}; {numbers})")
    text = comparison_table.as_text(run(sides), 0.3, 0.05)
    assert f"NOT CHECKED: B0-imagenet-224-case-study-cifar10 ({recipes}; {numbers})" in text


def test_a_drop_that_may_be_chance_does_not_fail(sides):
    """One point of 200 images that err independently."""
    random = np.random.default_rng(0)
    for side, rate in zip(sides, (0.90, 0.87), strict=True):
        finished(side, random.permutation(200) < 200 * rate)
    found = run(sides)
    assert found.changes[0].base - found.changes[0].new > 2
    assert found.changes[0].p > 0.05
    assert fails(found) == [False]
    assert fails(found, alpha=1) == [True]


def test_a_rise_does_not_fail(sides):
    group(sides[0], [0.85])
    group(sides[1], [0.90])
    assert fails(run(sides)) == [False]
    assert "better" in comparison_table.as_text(run(sides), 0.3, 0.05)


def test_equal_runs_are_equal(sides):
    for side in sides:
        group(side, [0.9, 0.91])
    (change,) = run(sides).changes
    assert (change.base, change.p) == (change.new, 1)
    assert fails(run(sides), max_drop=0, alpha=1) == [False]


def test_p_values_are_corrected_for_the_number_of_rows(sides):
    for name in ("B0", "B1", "B2"):
        group(sides[0], [0.90], variant=name)
        group(sides[1], [0.893], variant=name)
    found = run(sides)
    assert found.changes[0].p == pytest.approx(min(1, 3 * found.changes[0].difference.p))


def test_rows_are_matched_by_what_was_asked_for(sides):
    """Another number in the recipe of the same name is a change to be seen, not another row."""
    group(sides[0], [0.9], variant="B0")
    longer = replace(RECIPES["case-study"], epochs=50)
    group(sides[1], [0.9], variant="B0", recipe=longer)
    (change,) = run(sides).changes
    assert change.remark == "epochs 25 -> 50"


def test_rows_of_one_side_only_are_named(sides):
    for side in sides:
        group(side, [0.9], variant="B0")
    group(sides[0], [0.9], variant="T")
    group(sides[0], [0.9], variant="L", weights=released("L"))
    sides[1].save(failure(spec=spec(variant="L")))
    group(sides[1], [0.9], variant="S")
    found = run(sides)
    assert found.only_base == (
        "T-imagenet-320-case-study-cifar10 (NEW has no such row)",
        "L-imagenet-480-case-study-cifar10 (out-of-memory: ResourceExhaustedError: OOM)",
    )
    assert found.only_new == ("S-imagenet-384-case-study-cifar10",)
    text = comparison_table.as_text(found, 0.3, 0.05)
    assert all(name in text for name in (*found.only_base, *found.only_new))


def test_other_images_are_not_tested(sides):
    group(sides[0], [0.9])
    group(sides[1], [0.5], data_sha256="e" * 64)
    (change,) = run(sides).changes
    assert change.p is None
    assert change.remark == "data dddddddd -> eeeeeeee"
    assert fails(run(sides)) == [False]
    assert run(sides).unchecked == (
        "B0-imagenet-224-case-study-cifar10 (not tested: other images)",
    )
    assert "not tested" in comparison_table.as_text(run(sides), 0.3, 0.05)


def test_lost_predictions_are_said_to_be(sides):
    group(sides[0], [0.9])
    lost = finished(sides[1], np.arange(2000) < 1000)
    (sides[1].folder(lost.spec.key) / lost.predictions.file).unlink()
    found = run(sides)
    assert found.changes[0].p is None
    assert "predictions there -> missing" in found.changes[0].remark
    assert len(found.problems) == 1
    (reason,) = found.unchecked
    assert reason.endswith("(not tested: predictions of NEW are missing)")


@pytest.mark.parametrize("table_first", [True, False])
def test_a_published_table_may_be_one_side(table_first, sides):
    group(sides[0], [0.50, 0.50, 0.50], variant="T", images=10_000)
    group(sides[0], [0.9], variant="T", image_size=300)
    given = ["case-study", str(sides[0].directory)]
    found = compare(*(given if table_first else given[::-1]))
    (change,) = found.changes
    ours, theirs = (change.new, change.base) if table_first else (change.base, change.new)
    assert theirs == 92.53
    assert ours == pytest.approx(50, abs=1)
    assert fails(found) == [table_first]
    assert change.seeds == ((1, 3) if table_first else (3, 1))
    sides_only = (found.only_base, found.only_new)
    published, own = sides_only if table_first else sides_only[::-1]
    assert len(published) == 8
    reason = "" if table_first else " (the table has no such row)"
    assert own == (f"T-imagenet-300-case-study-cifar10{reason}",)


def test_nothing_to_compare(sides):
    group(sides[0], [0.9], variant="B0")
    group(sides[1], [0.9], variant="T")
    with pytest.raises(EffbenchError, match=r"nothing to compare: B0-imagenet-224-.* against T-"):
        run(sides)


def test_what_is_no_results_directory(sides, tmp_path):
    with pytest.raises(UsageError, match="compare takes results directories"):
        compare(str(tmp_path), str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="one side must be a results directory"):
        compare("case-study", "case-study")
    with pytest.raises(EffbenchError, match=r"no finished run to compare: .* \(none there\)"):
        compare(str(tmp_path), str(tmp_path))
