from collections import Counter, defaultdict

import pytest

from effbench.data import datasets
from effbench.data.inspecting.listing import SPLITS, ListedImage
from effbench.data.splitting import FEW_GROUPS, Division, attempted, divide
from effbench.errors import DataError


def images(counts: dict[str, int], split: str = "") -> list[ListedImage]:
    return [
        ListedImage(f"{split}/{label}/{number:05d}.jpg", label, split)
        for label, count in counts.items()
        for number in range(count)
    ]


def division(*parts: list[ListedImage]) -> Division:
    rows = sorted((image for part in parts for image in part), key=lambda image: image.name)
    return divide(rows, [image.name for image in rows])


def counts(found: Division) -> Counter[tuple[str, str]]:
    return Counter((image.split, image.label) for image in found.images)


def refused(*parts: list[ListedImage]) -> str:
    with pytest.raises(DataError) as caught:
        division(*parts)
    return str(caught.value)


def test_without_splits_70_10_and_20_of_100_of_each_class():
    found = division(images({"a": 1000, "b": 100}))
    assert found.made == ("train", "validation", "test")
    assert counts(found) == {
        ("train", "a"): 700,
        ("validation", "a"): 100,
        ("test", "a"): 200,
        ("train", "b"): 70,
        ("validation", "b"): 10,
        ("test", "b"): 20,
    }


def test_a_folder_of_train_alone_is_one_without_splits():
    found = division(images({"a": 50, "b": 50}, "train"))
    assert found.made == ("validation", "test")
    assert counts(found)["test", "a"] == 10


def test_a_missing_validation_split_is_a_tenth_of_train():
    test = images({"a": 7, "b": 9}, "test")
    found = division(images({"a": 100, "b": 50}, "train"), test)
    assert found.made == ("validation",)
    assert counts(found)["train", "a"] == 90
    assert counts(found)["validation", "b"] == 5
    assert {image for image in found.images if image.split == "test"} == set(test)


@pytest.mark.parametrize(("name", "train"), [("flowers102", 2040), ("cars", 8144)])
def test_the_tenth_of_a_published_training_part_is_as_large_as_its_row_says(name, train):
    classes = datasets.outline(name).classes
    rows = [ListedImage(f"{n:05d}.jpg", str(n % classes), "train") for n in range(train)]
    test = [ListedImage(f"test/{n}.jpg", str(n), "test") for n in range(classes)]
    found = Counter(image.split for image in division(rows, test).images)
    assert (found["train"], found["validation"]) == datasets.outline(name).counts[:2]


def test_without_a_test_split_there_is_none():
    found = division(images({"a": 5, "b": 5}, "train"), images({"a": 1, "b": 1}, "validation"))
    assert found.made == ()
    assert {image.split for image in found.images} == {"train", "validation"}


def test_splits_that_are_there_stay():
    rows = [images({"a": 2, "b": 1}, split) for split in ("train", "validation", "test")]
    found = division(*rows)
    assert found.made == ()
    assert set(found.images) == {image for part in rows for image in part}


def test_it_is_always_the_same_and_its_hash_says_so():
    one, other = (division(images({"a": 40, "b": 60})) for _ in range(2))
    assert one == other
    changed = images({"a": 40, "b": 60})
    changed[0] = ListedImage("/a/other.jpg", "a")
    assert division(changed).sha256 != one.sha256


def test_the_hash_is_of_names_labels_and_splits():
    rows = [images({"a": 2, "b": 2}, split) for split in ("train", "validation")]
    before = division(*rows).sha256
    moved = [ListedImage(row.name, row.label, "validation") for row in rows[0][:1]] + rows[0][1:]
    relabelled = [ListedImage(row.name, "b", row.split) for row in rows[0][:1]] + rows[0][1:]
    assert len({before, division(moved, rows[1]).sha256, division(relabelled, rows[1]).sha256}) == 3


@pytest.mark.parametrize("groups", [40, FEW_GROUPS + 50])
def test_whole_groups_are_on_one_side(groups):
    rows = [
        ListedImage(f"{number:05d}.jpg", "ab"[number % 2], group=f"patient {number % groups // 2}")
        for number in range(groups * 6)
    ]
    found = division(rows)
    splits = defaultdict(set)
    for image in found.images:
        splits[image.group].add(image.split)
    assert {len(where) for where in splits.values()} == {1}
    for label in "ab":
        share = counts(found)["test", label] / (groups * 3)
        assert share == pytest.approx(0.2, abs=0.05)


def test_images_that_are_alike_are_on_one_side_where_we_decide():
    rows = images({"a": 100, "b": 100})
    found = divide(rows, [str(number // 4) for number in range(200)])
    for start in range(0, 200, 4):
        assert len({image.split for image in found.images[start : start + 4]}) == 1


def test_images_that_are_alike_stay_where_the_source_has_them():
    rows = images({"a": 2, "b": 2}, "train") + images({"a": 2, "b": 2}, "validation")
    assert divide(rows, ["same"] * 8).images == tuple(rows)


# --- what is refused ------------------------------------------------------------------------------


def test_no_training_split():
    line = refused(images({"a": 5, "b": 5}, "test"), images({"a": 5, "b": 5}, "validation"))
    assert line.startswith("there is no training split: only validation and test; ")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_class_that_is_not_in_every_split(split):
    rows = [
        image
        for name in ("train", "validation", "test")
        for image in images({"a": 3, "b": 3}, name)
        if (image.split, image.label) != (split, "b")
    ]
    assert refused(rows).startswith(f"classes without images in {split}: b (6 images); every ")


def test_a_class_with_too_few_images_for_a_split():
    line = refused(images({"a": 100, "b": 2}))
    assert "b (2 images); 10 images of a class are always enough" in line


def test_ten_images_of_a_class_are_always_enough():
    found = division(images({str(number): 10 for number in range(30)}))
    assert len(counts(found)) == 90


@pytest.mark.parametrize(
    ("count", "each"), [(12, (9, 1, 2)), (15, (10, 2, 3)), (29, (20, 3, 6)), (4, (2, 1, 1))]
)
def test_small_classes_are_divided_to_the_image(count, each):
    found = division(images({"cat": count, "dog": count, "owl": 40}))
    for label in ("cat", "dog"):
        assert tuple(counts(found)[split, label] for split in SPLITS) == each
    assert sum(counts(found)[split, "owl"] for split in SPLITS) == 40
    assert found == division(images({"cat": count, "dog": count, "owl": 40}))


def test_few_images_in_all():
    assert refused(images({"a": 3, "b": 2})).startswith(
        "too few images to make splits: 2 of b, 5 images; 10 images of a class "
    )


def test_few_groups():
    rows = [ListedImage(f"{n}.jpg", "ab"[n % 2], group=str(n % 3)) for n in range(60)]
    assert refused(rows).startswith(
        "too few images to make splits: 30 of a, 60 images in 3 groups; "
    )


def test_a_group_in_two_splits_of_the_source():
    rows = [
        ListedImage(f"{split}{label}", label, split, group=f"dog {label}")
        for split in ("train", "validation")
        for label in "ab"
    ]
    assert refused(rows).startswith(
        "groups are in two splits: dog a in train and validation, dog b in train and validation; "
    )
    assert refused(rows[::2]).startswith("a group is in two splits: dog a in train and validation;")


def test_all_that_is_refused_is_told_at_once():
    rows = [
        *images({"a": 30, "b": 30, "one": 1}, "train"),
        *images({"a": 3, "b": 3, "there": 3}, "test"),
    ]
    problems = [str(problem) for problem in attempted(rows, [row.name for row in rows]).problems]
    starts = [
        "classes without images in train: one (1 image, in train only); 10 images of a class ",
        "classes without images in train: there (3 images, in test only); every class must be ",
        "classes without images in test: one (1 image, in train only); every class must be ",
    ]
    assert [
        problem[: len(start)] for problem, start in zip(problems, starts, strict=True)
    ] == starts


def test_too_few_images_do_not_hide_a_class_in_one_split_only():
    rows = images({"a": 3, "b": 2}, "train") + images({"a": 2, "c": 4}, "test")
    first, *others = map(str, attempted(rows, [row.name for row in rows]).problems)
    assert first.startswith("too few images to make splits: 2 of b, 5 images; ")
    assert [problem.partition(";")[0] for problem in others] == [
        "classes without images in train: c (4 images, in test only)",
        "classes without images in test: b (2 images, in train only)",
    ]
