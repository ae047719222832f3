from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import fill, noise, put

from effbench import cache
from effbench.config.geometry import Geometry
from effbench.data import photos
from effbench.data.pixels.fitting import fitted
from effbench.data.splits import Dataset, Split
from effbench.errors import DataError, DiskError
from effbench.progress import silent

THREE = {
    f"{split}/{label}": count
    for split, count in {"train": 6, "val": 2, "test": 3}.items()
    for label in ("ants", "bees")
}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))


def load(root: Path, skip: bool = False) -> Dataset:
    return photos.load(root, silent, skip_unreadable=skip)


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check(split: Split, root: Path, classes: tuple[str, ...]) -> None:
    """Each row is the file that its name says, and its label is its folder's."""
    rows = split.images.sized(10, Geometry(), silent)
    for number, name in enumerate(split.images.names):
        image = Image.open(root / name)
        np.testing.assert_array_equal(rows[number], fitted(image, 10, Geometry()))
        assert classes[split.labels[number]] == name.split("/")[-2]


def test_a_folder_with_all_splits(tmp_path):
    root = fill(tmp_path / "photos", THREE)
    dataset = load(root)
    assert dataset.classes == ("ants", "bees")
    assert dataset.made == dataset.skipped == ()
    assert [len(split.images) for split in dataset.splits] == [12, 4, 6]
    for split in dataset.splits:
        check(split, root, dataset.classes)
        assert split.labels.dtype == np.uint8
    every = np.concatenate([split.index for split in dataset.splits])
    assert sorted(every) == list(range(22))


def test_held_out_images_that_train_too_are_counted(tmp_path):
    root = fill(tmp_path / "photos", THREE)
    dataset = load(root)
    assert (dataset.leaked, dataset.twins) == (0, 0)
    trained, held_out = (root / split / "ants/0000.png" for split in ("train", "val"))
    for copy in ("val/ants/copy.png", "test/bees/copy.png"):
        put(root / copy, trained.read_bytes())
    put(root / "test/ants/copy.png", held_out.read_bytes())
    dataset = load(root)
    # Two have the pixels of one that trains; the third those of another that does not.
    assert (dataset.leaked, dataset.twins) == (2, 5)


def test_nothing_is_decoded_before_there_is_room_for_every_split(tmp_path):
    dataset = load(fill(tmp_path / "photos", {"a": 20, "b": 20}))
    room = 40 * (64 * 64 * 3 + 64) / 1e9
    with pytest.raises(DiskError, match=r"0\.49 MB where 0\.48 MB are allowed \(--cache-gb\)"):
        dataset.sized(64, Geometry(), silent, cache_gb=0.98 * room)
    assert not list(cache.pixels().glob("*/"))
    dataset.sized(64, Geometry(), silent, cache_gb=1.2 * room)
    assert len(list(cache.pixels().glob("*/"))) == 3


def test_a_split_can_be_taken_from(tmp_path):
    root = fill(tmp_path / "photos", THREE)
    part = load(root).train.take(np.array([5, 0, 7]))
    assert len(part.images) == 3
    check(part, root, ("ants", "bees"))


def test_flat_classes_are_divided(tmp_path):
    dataset = load(fill(tmp_path / "photos", {"a": 20, "b": 30}))
    assert dataset.made == ("train", "validation", "test")
    assert [np.bincount(split.labels).tolist() for split in dataset.splits] == [
        [14, 21],
        [2, 3],
        [4, 6],
    ]


def test_without_a_test_split_there_is_none(tmp_path):
    counts = {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1}
    assert load(fill(tmp_path / "photos", counts)).test is None


def test_a_csv_gives_the_same_as_its_folders(tmp_path):
    root = fill(tmp_path / "photos", THREE)
    names = [path.relative_to(root) for path in root.rglob("*.png")]
    rows = [f"{name},{name.parts[1]},{name.parts[0]}\n" for name in names]
    put(root / "t.csv", "".join(["file_name,label,split\n", *rows]).encode())
    assert load(root / "t.csv").sha256 == load(root).sha256


def test_the_hash_is_of_the_split_and_of_the_files(tmp_path):
    root = fill(tmp_path / "photos", THREE)
    before = load(root)
    put(root / "test/ants/0000.png", noise(77))
    changed = load(root)
    assert changed.sha256 != before.sha256
    assert changed.split_sha256 == before.split_sha256
    (root / "train/ants/0000.png").rename(root / "val/ants/0009.png")
    moved = load(root)
    assert len({dataset.split_sha256 for dataset in (before, moved)}) == 2
    other = fill(tmp_path / "elsewhere", THREE)
    assert load(other).sha256 == before.sha256


def test_copies_of_an_image_are_on_one_side(tmp_path):
    root = fill(tmp_path / "photos", {"a": 40, "b": 40})
    for label in "ab":
        for number in range(40):
            content = (root / label / f"{number:04d}.png").read_bytes()
            put(root / label / f"{number:04d}-copy.png", content)
    for split in load(root).splits:
        stems = {Path(name).stem.removesuffix("-copy") + name[0] for name in split.images.names}
        assert 2 * len(stems) == len(split.images)


def test_unreadable_images_are_refused_by_name(tmp_path):
    root = fill(tmp_path / "photos", THREE)
    put(root / "train/ants/broken it.jpg", b"")
    put(root / "test/bees/x\ny.png", b"<html>")
    put(root / "test/bees/notes.txt", b"none was meant to be here")
    line = refused(root)
    assert line.startswith(
        "2 of 24 images cannot be read: test/bees/x\\ny.png (not a JPEG, PNG, GIF, BMP or WebP), "
        "train/ants/broken it.jpg (0 bytes); mend or remove them, or leave them out with "
    )
    dataset = load(root, skip=True)
    assert dataset.skipped == ("test/bees/x\ny.png", "train/ants/broken it.jpg")
    assert sum(len(split.images) for split in dataset.splits) == 22
    for number in range(7):
        put(root / f"train/ants/{number}.gif", b"")
    assert " and 4 more; " in refused(root)


def test_the_hash_says_which_images_were_left_out(tmp_path):
    root = fill(tmp_path / "photos", {"a": 20, "b": 20})
    whole = load(root)
    path = root / "a/0007.png"
    content = path.read_bytes()
    path.write_bytes(content[:50])
    skipped = load(root, skip=True)
    path.unlink()
    assert skipped.skipped == ("a/0007.png",)
    assert skipped.sha256 == load(root).sha256  # the same images, so the same data
    assert skipped.sha256 != whole.sha256
    assert skipped.split_sha256 == load(root).split_sha256 != whole.split_sha256


def test_groups_of_a_table_stay_with_their_images(tmp_path):
    root = fill(tmp_path / "photos", {"a": 30, "b": 30})
    names = [f"{label}/{number:04d}.png" for label in "ab" for number in range(30)]
    groups = {name: f"pair {name[0]}{int(name[2:6]) // 2}" for name in names[:-4]}

    def table(column: bool) -> Path:
        lines = [f"{name},{name[0]}" + f",{groups.get(name, '')}" * column for name in names]
        head = "file_name,label" + ",group" * column
        return put(root / "t.csv", "\n".join([head, *lines]).encode())

    alone = load(table(column=False))
    assert [split.groups for split in alone.splits] == [None] * 3
    dataset = load(table(column=True))
    assert dataset.sha256 != alone.sha256
    seen = {}
    for whole in (dataset, dataset.limited(20)):
        for split in whole.splits:
            assert split.groups.dtype == np.int32
            for name, group in zip(split.images.names, split.groups, strict=True):
                assert seen.setdefault(groups.get(name, name), group) == group
    assert len({*seen.values()}) == len(seen) == 28 + 4
    part = dataset.train.take(np.array([4, 1]))
    np.testing.assert_array_equal(part.groups, dataset.train.groups[[4, 1]])


def test_groups_are_part_of_the_data_where_all_splits_are_given(tmp_path):
    root = fill(tmp_path / "photos", THREE)
    names = sorted(path.relative_to(root) for path in root.rglob("*.png"))

    def sha256(pairs: int) -> tuple[str, str]:
        rows = [f"{name},{name.parts[1]},{name.parts[0]},{name.parent}" for name in names[:pairs]]
        rows += [f"{name},{name.parts[1]},{name.parts[0]}," for name in names[pairs:]]
        content = "\n".join(["file_name,label,split,group", *rows]).encode()
        dataset = load(put(root / "t.csv", content))
        return dataset.sha256, dataset.split_sha256

    one, other = sha256(4), sha256(6)
    assert one[0] != other[0] != load(root).sha256 == sha256(0)[0]
    assert one[1] == other[1] == load(root).split_sha256


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"a": 20}, "there must be two classes or more: a; "),
        ({"train/a": 3, "val/a": 3}, "there must be two classes or more: a; "),
        ({"a": 20, "b": 0}, "classes without a readable image: b; "),
        ({"train/a": 3, "train/b": 3, "val/a": 3}, "classes without images in validation: b (3 "),
        ({"train/a": 3, "val/a": 3, "val/b": 3}, "classes without images in train: b (3 images, "),
    ],
)
def test_classes_that_cannot_be_learnt(counts, expected, tmp_path):
    root = fill(tmp_path / "photos", counts)
    for folder in counts:
        (root / folder).mkdir(exist_ok=True)
    assert refused(root).startswith(expected)


@pytest.mark.parametrize(
    "folders",
    [
        THREE,
        {"a": 20, "b": 30},
        {"train/a": 60, "train/b": 40, "test/a": 3, "test/b": 2},
        {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1},
    ],
)
def test_the_outline_counts_what_would_be_loaded_and_opens_nothing(folders, tmp_path):
    root = fill(tmp_path / "photos", folders)
    dataset = load(root)
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    outline = photos.outline(root)
    assert outline.counts == tuple(len(split.labels) for split in dataset.splits)
    assert (outline.classes, outline.side) == (2, None)


@pytest.mark.parametrize("form", ["folder", "table"])
def test_the_outline_knows_images_whatever_their_names_end_in_and_groups(form, tmp_path):
    root = fill(tmp_path / "photos", {"a": 30, "b": 30})
    for number in range(30):
        (root / f"b/{number:04d}.png").rename(root / f"b/{number:04d}")
    put(root / "a/notes", b"no image")
    if form == "table":
        names = [*(f"a/{n:04d}.png" for n in range(30)), *(f"b/{n:04d}" for n in range(30))]
        rows = [f"{name},{name[0]},{name[:5]}{int(name[5]) // 3}\n" for name in names]
        root = put(root / "t.csv", "".join(["file_name,label,group\n", *rows]).encode())
    assert photos.outline(root).counts == tuple(len(part.labels) for part in load(root).splits)


@pytest.mark.parametrize(("folders", "expected"), [({"a": 3}, "two classes"), ({}, "no folders")])
def test_an_outline_of_what_cannot_be_learnt_is_refused(folders, expected, tmp_path):
    root = fill(tmp_path, folders)
    with pytest.raises(DataError, match=expected):
        photos.outline(root)


def test_a_source_that_is_not_there(tmp_path):
    assert refused(tmp_path / "x").startswith(f"no such folder or CSV: {tmp_path}/x; give ")


def test_more_classes_than_a_byte_can_name(tmp_path):
    counts = {f"{split}/{label}": 1 for split in ("train", "val") for label in range(300)}
    dataset = load(fill(tmp_path / "photos", counts, width=2, height=2))
    assert dataset.train.labels.dtype == np.uint16
    assert dataset.classes[dataset.train.labels.max()] == "299"
