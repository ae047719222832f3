import re
from collections.abc import Iterator
from dataclasses import field, fields, is_dataclass, make_dataclass, replace

import pytest
from pydantic import TypeAdapter
from support.records import FILE, RANDOM, failure, result, scores, spec

from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES, resolved
from effbench.config.run_spec import RunSpec, WeightsId
from effbench.records import caveats, describe
from effbench.records.record import RunFailure, RunResult
from effbench.records.scores import Scores
from effbench.records.store import to_json


def paths(record: object) -> Iterator[tuple[str, ...]]:
    """Every field of a dataclass and of those within it, as the names that lead to it."""
    for each in fields(record):
        value = getattr(record, each.name)
        if is_dataclass(value):
            yield from ((each.name, *rest) for rest in paths(value))
        else:
            yield (each.name,)


def other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}x"
    return 7 if value is None else value + 1


def changed(record, path: tuple[str, ...]):
    name, *rest = path
    value = getattr(record, name)
    return replace(record, **{name: changed(value, rest) if rest else other(value)})


PATHS = list(paths(spec()))


def test_there_are_fields_to_change():
    assert ("variant",) in PATHS
    assert ("weights", "digest") in PATHS
    assert ("recipe", "start_step") in PATHS


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_any_change_is_another_run(path):
    assert changed(spec(), path).key != spec().key


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_a_group_is_the_same_but_for_the_seed(path):
    same = changed(spec(), path).group == spec().group
    assert same == (path == ("seed",))


def test_same_fields_same_key():
    assert spec(seed=3).key == spec(seed=3).key
    assert spec(seed=3).key != spec(seed=3).group


def test_a_key_is_readable_and_a_safe_name_of_a_folder():
    key = spec(limit=20, seed=5).key
    assert key.startswith("B0-imagenet-224-case-study-cifar10-limit20-s5-")
    assert re.fullmatch(r"[A-Za-z0-9.-]+", key)


def test_a_new_field_at_its_default_changes_no_old_key():
    wider = make_dataclass(
        "Wider", [("added", int, field(default=3))], bases=(RunSpec,), frozen=True
    )
    wider_recipe = make_dataclass(
        "WiderRecipe", [("added", str, field(default=""))], bases=(Recipe,), frozen=True
    )
    recipe = wider_recipe(**vars(RECIPES["case-study"]))
    old = vars(spec())
    for same in (wider(**old), wider(**old, added=3), wider(**(old | {"recipe": recipe}))):
        assert (same.key, same.group) == (spec().key, spec().group)
    for different in (wider(**old, added=4), spec(recipe=replace(recipe, added="x"))):
        assert different.key != spec().key
        assert different.group != spec().group


CASE_STUDY = RECIPES["case-study"]


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({}, ()),
        ({"seed": 9}, ()),
        ({"precision": "mixed_bfloat16"}, ("mixed_bfloat16",)),
        ({"precision": "tensorfloat32"}, ("tensorfloat32",)),
        ({"feature_cache": False}, ("backbone in every step",)),
        ({"variant": "XL"}, ()),
        ({"weights": RANDOM}, ("random weights",)),
        ({"weights": RANDOM, "recipe": resolved("composer", "B0")}, ("from scratch",)),
        ({"limit": 4000}, ("limited",)),
        ({"recipe": replace(CASE_STUDY, epochs=24)}, ("limited",)),
        ({"weights": FILE}, ("weights not a release",)),
        ({"recipe": replace(CASE_STUDY, batch_size=64)}, ("changed recipe",)),
        ({"recipe": replace(CASE_STUDY, start_step=352)}, ("changed recipe",)),
        ({"image_size": 64}, ("not native size",)),
        (
            {"weights": RANDOM, "limit": 20, "image_size": 32},
            ("random weights", "limited", "not native size"),
        ),
    ],
)
def test_marks(changes, marks):
    assert tuple(caveats.of_spec(spec(**changes))) == marks


@pytest.mark.parametrize(
    ("device", "engine", "marked"),
    [("gpu", "", True), ("gpu", "xla", False), ("tpu", "", False), ("cpu", "", False)],
)
def test_records_of_gpus_from_before_engines_are_marked(device, engine, marked):
    plain = result()
    made = replace(plain.provenance, device=device, engine=engine)
    assert (caveats.OLD_GPU in replace(plain, provenance=made).marks) == marked


OLDER = replace(CASE_STUDY, epochs=10, batch_size=64)


@pytest.mark.parametrize("make", [result, failure])
def test_marks_compare_with_the_recipe_of_the_runs_own_version(make):
    """A row of the table that changed since changes no run of before."""
    assert make(spec=spec(recipe=OLDER), standard=OLDER).marks == {}
    shorter = spec(recipe=replace(OLDER, epochs=9, dropout=0.5))
    assert make(spec=shorter, standard=OLDER).marks == {
        "limited": "9 epochs",
        "changed recipe": "dropout 0.5",
    }
    assert make(spec=spec(), standard=OLDER).marks == {
        "changed recipe": "epochs 25, batch_size 128"
    }


@pytest.mark.parametrize("make", [result, failure])
def test_marks_compare_with_the_recipe_of_today_where_no_other_was_kept(make):
    assert list(make(spec=spec(recipe=OLDER)).marks) == ["limited", "changed recipe"]
    assert make(spec=spec()).marks == {}


def test_a_recipe_that_is_gone_is_still_compared_with_its_own_standard():
    gone = replace(OLDER, name="gone")
    record = result(spec=spec(recipe=replace(gone, epochs=5)), standard=gone)
    assert record.marks == {"limited": "5 epochs"}


def test_more_epochs_than_the_recipe_says_do_not_pass_for_its_result():
    assert caveats.of_spec(spec(recipe=replace(CASE_STUDY, epochs=50)))


@pytest.mark.parametrize(("epochs", "said"), [(1, "1 epoch of batches"), (25, "25 epochs of bat")])
def test_epochs_are_counted_in_words(epochs, said):
    recipe = dict(describe.of_spec(spec(recipe=replace(CASE_STUDY, epochs=epochs))))["recipe"]
    assert recipe.startswith(f"case-study, {said}")


def test_a_run_of_one_epoch_is_limited_to_one_epoch():
    limited = caveats.of_spec(spec(recipe=replace(CASE_STUDY, epochs=1)))["limited"]
    assert limited == "1 epoch"


@pytest.mark.parametrize(
    ("recipe", "rescale", "expected"),
    [
        ("case-study", "torch", "torch"),
        ("case-study", "tf", "tf"),
        ("case-study-2021", "torch", "notebook-2021"),
        ("case-study-2021", "tf", "notebook-2021"),
    ],
)
def test_preprocessing_follows_the_weights_or_the_recipe(recipe, rescale, expected):
    weights = WeightsId("imagenet", "md5:0", rescale)
    assert spec(recipe=RECIPES[recipe], weights=weights).preprocessing == expected


@pytest.mark.parametrize(
    ("correct", "top5", "total"),
    [(5, 4, 10), (3, 11, 10), (11, 11, 10), (-1, 5, 10), (0, 0, 0), (-2, -1, 10)],
)
def test_scores_refuse_impossible_counts(correct, top5, total):
    with pytest.raises(ValueError, match="impossible counts"):
        Scores(correct, top5, total, 0.5)


@pytest.mark.parametrize("counts", [(0, 0, 1), (1, 1, 1), (3, 3, 10), (3, 10, 10)])
def test_scores_at_the_limits(counts):
    found = Scores(*counts, 0.5)
    assert found.accuracy == counts[0] / counts[2]
    assert found.top5_accuracy == counts[1] / counts[2]


def test_the_reported_epoch_is_the_recipes_choice():
    record = result(validation=scores(4321))
    assert record.reported.rule == "val_loss"
    assert record.reported.validation.correct == 4321
    final = replace(record.spec, recipe=replace(CASE_STUDY, selection="final"))
    assert replace(record, spec=final).reported.rule == "final"


@pytest.mark.parametrize(
    "record",
    [
        result(),
        result(spec=spec(limit=20, weights=RANDOM)),
        result(standard=CASE_STUDY),
        failure(),
        failure(message="naïve “quotes” \\ [red] \x1b[31m | \u2028 ±"),
    ],
    ids=["result", "limited", "standard", "failure", "odd characters"],
)
def test_a_record_comes_back_from_json_as_it_was(record):
    kind = RunResult if isinstance(record, RunResult) else RunFailure
    back = TypeAdapter(kind).validate_json(to_json(record))
    assert back == record
    assert back.spec.key == record.spec.key


def test_impossible_counts_are_refused_from_json_too():
    broken = to_json(result()).replace(b'"correct": 4500', b'"correct": 4991')
    assert broken != to_json(result())
    with pytest.raises(ValueError, match="impossible counts"):
        TypeAdapter(RunResult).validate_json(broken)


def test_held_out_images_that_trained_are_a_mark():
    plain = result()
    assert caveats.LEAKED not in plain.marks
    leaking = replace(plain, images=replace(plain.images, leaked=1204))
    assert leaking.marks[caveats.LEAKED] == "1,204"


def test_an_engine_that_was_refused_is_a_mark():
    plain = result()
    assert caveats.REPLACED not in plain.marks
    refused = "openvino: its features must be within 0.05 of TensorFlow's, relative: 0.12 on 32"
    instead = replace(plain, provenance=replace(plain.provenance, engine_refused=refused))
    assert instead.marks[caveats.REPLACED] == "openvino"
