"""What a report is about, and in which order."""

from dataclasses import replace

import pytest
from support.outcomes import group
from support.records import RANDOM, complete, released

from effbench.config.recipes import RECIPES
from effbench.errors import EffbenchError, UsageError
from effbench.records.store import Store
from effbench.report import build
from effbench.report.render import document
from effbench.report.render.document import Wanted
from effbench.report.select import Selection


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("results"))
    for name, rate in (("B0", 0.90), ("T", 0.93), ("S", 0.89), ("XL", 0.95)):
        group(store, [rate, rate + 0.005], variant=name, weights=released(name), images=400)
    group(store, [0.5], variant="T", weights=RANDOM, images=400)
    group(store, [0.91], variant="B0", recipe=RECIPES["case-study-2021"], images=400)
    group(store, [0.99], variant="B0", data="digits", images=400)
    return store


def labels(store: Store, **selection: str) -> list[str]:
    found = build.read(store, Selection(**selection))
    return [
        f"{row.spec.variant} {row.spec.weights.name} {row.spec.recipe.name} {row.spec.data}"
        for section in found.sections
        for row in section.rows
    ]


def test_everything_by_default(store):
    assert len(labels(store)) == 7


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"variants": "b0,xl", "recipes": "case-study", "data": "cifar10"}, ["B0", "XL"]),
        ({"recipes": "case-study-2021"}, ["B0"]),
        ({"data": "digits"}, ["B0"]),
        ({"weights": "none"}, ["T"]),
        ({"weights": "none,imagenet21k-ft1k"}, ["T", "XL"]),
        ({"where": "image_size > 300 and weights != 'none'"}, ["T", "S", "XL"]),
        ({"where": "test_accuracy_mean >= 93 and data == 'cifar10'"}, ["XL"]),
        ({"where": "test_accuracy_low < 60"}, ["T"]),
        ({"where": "`limited` == '' and seeds > 1"}, ["B0", "T", "S", "XL"]),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else None,
)
def test_selections(selection, expected, store):
    assert [label.split()[0] for label in labels(store, **selection)] == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("test_accuracy_mean", ["S", "B0", "T", "XL"]),
        ("-test_accuracy_mean", ["XL", "T", "B0", "S"]),
        ("weights,-image_size", ["S", "T", "B0", "XL"]),
        ("gflops", ["B0", "T", "S", "XL"]),
        ("-acc-test,Model", ["XL", "T", "B0", "S"]),
    ],
)
def test_sorting(sort, expected, store):
    found = labels(store, sort=sort, recipes="case-study", data="cifar10", where="seeds > 1")
    assert [label.split()[0] for label in found] == expected


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"variants": "B9"}, "unknown variant: B9"),
        ({"where": "size < 300"}, "--where is no expression over columns: size < 300 (Undefined"),
        ({"where": "image_size <"}, "--where is no expression over columns"),
        ({"where": "image_size + 1"}, "--where must be true or false: image_size + 1"),
        ({"where": "__import__('os').system('true')"}, "--where is no expression over columns"),
        ({"where": "@pd"}, "--where is no expression over columns"),
        ({"sort": "accuracy"}, "no such column: accuracy; the closest are val_accuracy"),
        ({"sort": ","}, "no such column: an empty list"),
        ({"group_by": "recipes"}, "no such column: recipes"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else None,
)
def test_what_makes_no_sense_is_a_usage_error(selection, message, store):
    with pytest.raises(UsageError) as caught:
        build.read(store, Selection(**selection))
    assert str(caught.value).startswith(message)


def test_nothing_fits(store):
    with pytest.raises(EffbenchError) as caught:
        build.read(store, Selection(data="random"))
    assert "no run fits the selection: 11 results, 0 failures; there are" in str(caught.value)
    assert "--data cifar10, digits" in str(caught.value)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"data": "odd,digits"}, "--data names: odd; there are cifar10, digits"),
        ({"recipes": "case-study, finetune"}, "--recipe names: finetune; there are case-study"),
        ({"weights": "none,imagenet21k"}, "--weights names: imagenet21k; there are imagenet"),
        ({"variants": "B0,M,L"}, "--variants names: M, L; there are B0, "),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else None,
)
def test_a_name_that_no_run_has_is_refused_beside_one_that_is_there(selection, message, store):
    with pytest.raises(EffbenchError) as caught:
        build.read(store, Selection(**selection))
    assert str(caught.value).startswith(f"no run has what {message}")


def test_nothing_is_sorted_by_an_empty_column(store, tmp_path):
    with pytest.raises(UsageError, match="in a column to sort by: dollars; sort by another"):
        build.read(store, Selection(sort="variant,-dollars"))
    complete(Store(tmp_path), test=False)
    with pytest.raises(UsageError, match="sort by: test_accuracy_mean; there is no test split; "):
        build.read(Store(tmp_path), Selection(sort="-acc-test"))
    assert build.read(Store(tmp_path), Selection(sort="-acc-val")).sections


def test_columns_by_title_and_by_name(store):
    found = build.read(store, Selection(data="digits"))
    text = document.render(found, "markdown", Wanted("Model,acc-test,train_images,gflops"))
    header, _, row = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "Model",
        "acc-test",
        "train_images",
        "gflops",
    ]
    assert [cell.strip() for cell in row.strip("|").split("|")][2:] == ["45,000", "0.717"]
    assert document.render(found, "csv", Wanted("variant,seeds")) == "variant,seeds\nB0,1\n"
    with pytest.raises(UsageError, match="no such column: Modell; the closest are Model"):
        document.render(found, "markdown", Wanted("Modell"))


def test_every_number_of_a_recipe_is_a_column(tmp_path):
    store, recipe = Store(tmp_path), RECIPES["finetune"]
    for geometry, flip in (("squash", False), ("crop", True)):
        group(store, [0.9], recipe=replace(recipe, geometry=geometry, flip=flip), images=40)
    chosen = build.read(store, Selection(where="geometry == 'crop' and flip and dropout < 0.1"))
    names = ", ".join(recipe.numbers)
    (line,) = document.render(chosen, "csv", Wanted(f"flip, geometry, {names}")).splitlines()[1:]
    assert line.startswith("True,crop,")
    text = document.render(chosen, "markdown", Wanted("flip,filter,cutout,l2_values"))
    # A network has no grid of L2.
    assert [cell.strip() for cell in text.split("\n| ")[2].split("|")[:4]] == [
        *("yes", "bilinear", "0.25", "-")
    ]


def test_no_choice_of_columns_hides_the_marks(store):
    found = build.read(store, Selection(weights="none"))
    assert (
        "random weights"
        in document.render(found, "markdown", Wanted("Model,acc-test")).split("- ")[0]
    )
    assert document.render(found, "csv", Wanted("variant")) == "variant,marks\nT,random weights\n"


def test_a_column_asked_for_twice_is_shown_once(store):
    text = document.render(build.read(store, Selection()), "markdown", Wanted("Size,Size"))
    heads = [line for line in text.splitlines() if "Size" in line]
    assert heads
    assert all(head.count("Size") == 1 for head in heads)


def test_notes_on_columns_that_are_not_shown_are_left_out(store):
    found = build.read(store, Selection(recipes="case-study", data="cifar10", where="seeds > 1"))
    full = document.render(found, "markdown")
    assert "- same as: " in full
    assert "- published XL: " in full
    text = document.render(found, "markdown", Wanted("Model,acc-test,same as"))
    assert "- same as: " in text
    assert "- published" not in text
