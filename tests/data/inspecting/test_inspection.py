import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from support.pictures import encoded, fill, noise, put

from effbench.data.inspecting import inspection_tables, montage, near_duplicates
from effbench.data.inspecting.inspection import Inspected, Inspection, Upsampling, inspect
from effbench.progress import silent


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path) -> Path:
    return fill(tmp_path / "photos", {"train/a": 4, "train/b": 2, "val/a": 2, "val/b": 2})


def inspected(root: Path, near: bool = False, skip: bool = False) -> Inspected:
    return inspect(root, silent, near=near, skip_unreadable=skip)


def look(root: Path, near: bool = False, skip: bool = False) -> Inspection:
    return inspected(root, near, skip).inspection


def photo(seed: int, width: int = 120, height: int = 90) -> Image.Image:
    """Smooth, as photos are: noise of a few pixels, enlarged."""
    return noise(seed, 6, 5).resize((width, height), Image.Resampling.BICUBIC)


def test_counts_sizes_and_formats(root):
    put(root / "val/b/x.jpg", encoded(noise(50, 300, 230), "JPEG"))
    found = look(root)
    assert found.problems == ()
    assert found.images == 11
    counts = [(c.name, c.images, c.train, c.validation, c.test) for c in found.classes]
    assert counts == [("a", 6, 4, 2, 0), ("b", 5, 2, 3, 0)]
    assert found.formats == {"PNG": 10, "JPEG": 1}
    sides = {row.side: (row.smallest, row.median, row.largest) for row in found.sides}
    assert sides == {
        "width": (24, 24, 300),
        "height": (16, 16, 230),
        "shorter side": (16, 16, 230),
    }
    assert found.upsampled[:2] == (Upsampling(("B0",), 224, 10), Upsampling(("B1",), 240, 11))
    text = " ".join(inspection_tables.notes(found))
    assert "There is no test split" in text
    assert "The largest class, a, has 1.2 times as many images as the smallest, b (6 and 5)" in text


def test_classes_of_about_as_many_images_are_told_so(tmp_path):
    found = look(fill(tmp_path / "photos", {"a": 25, "b": 24}))
    said = "Classes have about as many images: from 24 of b to 25 of a."
    assert said in inspection_tables.notes(found)


def test_unreadable_files_are_a_problem_unless_they_are_skipped(root):
    put(root / "train/a/x.jpg", b"")
    put(root / "train/a/list.txt", b"x")
    put(root / "README", b"x")
    put(root / ".hidden", b"x")
    found = look(root)
    assert [(row.name, row.reason) for row in found.unreadable] == [("train/a/x.jpg", "0 bytes")]
    assert found.problems[0].startswith("1 of 11 images cannot be read: train/a/x.jpg (0 bytes); ")
    assert found.refused
    assert look(root, skip=True).problems == ()
    assert not look(root, skip=True).refused
    assert (found.no_images, found.beside, found.hidden) == (
        ("train/a/list.txt",),
        ("README",),
        1,
    )


def test_the_same_pixels_in_two_splits_and_with_two_labels(root):
    put(root / "val/a/copy.bmp", encoded(Image.open(root / "train/a/0001.png"), "BMP"))
    put(root / "train/b/twin.png", (root / "train/a/0002.png").read_bytes())
    found = look(root)
    assert [(group.names, group.contradicts, group.leaks) for group in found.alike] == [
        (("train/a/0002.png", "train/b/twin.png"), True, False),
        (("train/a/0001.png", "val/a/copy.bmp"), False, True),
    ]
    assert found.near is None
    contradiction, leak = found.problems
    assert contradiction.startswith(
        "the same pixels have two labels: train/a/0002.png and train/b/twin.png; "
    )
    assert leak.startswith(
        "the same pixels are in two splits: train/a/0001.png and val/a/copy.bmp; "
    )
    assert not found.refused, "a sweep takes them as they are"


def test_images_that_look_the_same(tmp_path):
    root = tmp_path / "photos"
    for number in range(12):
        put(root / "ab"[number % 2] / f"{number}.png", photo(number))
    put(root / "a" / "small.jpg", encoded(photo(0).resize((60, 45)), "JPEG"))
    put(root / "b" / "soft.png", photo(1).filter(ImageFilter.GaussianBlur(1)))
    put(root / "b" / "same.png", photo(3))
    found = look(root, near=True)
    assert {group.names for group in found.near} == {
        ("a/0.png", "a/small.jpg"),
        ("b/1.png", "b/soft.png"),
    }
    assert all(group.bits <= near_duplicates.NEAR_BITS for group in found.near)


def test_three_that_look_the_same_are_one_group_with_all_their_copies(tmp_path):
    root = fill(tmp_path / "photos", {"a": 10, "b": 10}, width=120, height=90)
    put(root / "b" / "other.png", photo(0))
    put(root / "b" / "other copy.png", photo(0))
    only_copies = look(root, near=True)
    assert only_copies.near == ()
    assert "No other images look the same." in inspection_tables.notes(only_copies)
    for side in (45, 60):
        put(
            root / "a" / f"small {side}.jpg",
            encoded(photo(0).resize((side * 4 // 3, side)), "JPEG"),
        )
    found = look(root, near=True)
    (group,) = found.near
    assert sorted(group.names) == [
        *("a/small 45.jpg", "a/small 60.jpg", "b/other copy.png", "b/other.png")
    ]
    text = " ".join(inspection_tables.notes(found))
    assert (
        "4 images look like others (perceptual hashes that differ in at most 4 of 64 bits), in "
        in text
    )
    assert ", in 1 group: " in text.partition("look like others")[2]


def test_all_are_compared_in_whatever_part_they_are(monkeypatch):
    monkeypatch.setattr(near_duplicates, "_ROWS", 3)
    values = np.random.default_rng(1).integers(0, 1 << 63, 20, np.uint64)
    values[17] = values[2] ^ np.uint64(0b1011)
    values[9] = values[8] ^ np.uint64(0b11111)  # one bit too many
    values[4] = values[3]
    values[12] = values[5] ^ np.uint64(0b1111)
    values[19] = values[12] ^ np.uint64(0b110000)  # six from the first
    groups = near_duplicates._grouped(values, np.arange(100, 120))
    assert [(group.positions, group.bits) for group in groups] == [
        ((102, 117), 3),
        ((103, 104), 0),
        ((105, 112, 119), 4),
    ]


def test_several_problems_are_all_told(tmp_path):
    root = fill(tmp_path / "photos", {"a": 3})
    put(root / "a" / "x.png", b"")
    problems = look(root).problems
    assert len(problems) == 3
    assert "cannot be read" in problems[0]
    assert "two classes or more" in problems[1]
    assert "too few images to make splits" in problems[2]


def test_what_is_said_of_splits_is_what_a_sweep_does(tmp_path):
    """Nothing is said of groups, or of a missing test split, that a problem contradicts."""
    few = look(fill(tmp_path / "few", {"train/a": 3, "train/b": 2}))
    assert few.problems[0].startswith("too few images to make splits: 2 of b, 5 images; ")
    assert not any("test split" in note for note in inspection_tables.notes(few))
    root = fill(tmp_path / "photos", {"a": 12, "b": 12})
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))

    def of_table(*splits: str) -> Inspection:
        """The first two images are a group."""
        rows = [
            f"{name},{name[0]},{split},{'g' * (number < 2)}"
            for number, (name, split) in enumerate(zip(names, splits, strict=True))
        ]
        return look(put(root / "t.csv", "\n".join(("file_name,label,split,group", *rows)).encode()))

    said = "Images come in 1 group (2 images) or alone (22): each group stays in one split, "
    made = of_table(*[""] * 24)
    assert f"{said}and intervals are over these 23." in inspection_tables.notes(made)
    broken = of_table("test", *["train"] * 23)
    assert broken.problems[0].startswith("a group is in two splits: g in test and train; ")
    assert not any("group" in note for note in inspection_tables.notes(broken))


def test_every_problem_of_classes_is_told_and_the_table_shows_where_images_are(tmp_path):
    counts = {"train/a": 3, "train/b": 2, "test/a": 2, "test/c": 4, "test/d": 0}
    root = fill(tmp_path / "photos", counts)
    put(root / "test/d/x.png", b"")
    found = look(root, skip=True)
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "classes without a readable image",
        "too few images to make splits",
        "classes without images in train",
        "classes without images in test",
    ]
    table = inspection_tables.tables(found)[0]
    assert [column.title for column in table.columns] == ["Class", "Images", "train", "test"]
    assert table.rows[2] == ("c", "4", "0", "4")
    assert not any("SHA-256" in note for note in inspection_tables.notes(found))


def test_a_folder_with_no_readable_image(tmp_path):
    root = tmp_path / "photos"
    put(root / "a" / "x.png", b"")
    put(root / "b" / "x.png", b"")
    found = look(root)
    assert (found.images, found.sides) == (0, ())
    assert len(found.problems) == 2
    assert inspection_tables.tables(found)


def test_long_tables_are_cut_and_say_so(tmp_path):
    counts = {f"{split}/{label}": 1 for split in ("train", "val") for label in range(50)}
    found = look(fill(tmp_path / "photos", counts))
    table = inspection_tables.tables(found)[0]
    assert len(table.rows) == inspection_tables.ROWS
    assert "Tables show 40 rows at most; --json has them all." in inspection_tables.notes(found)


def test_the_montage_shows_nine_of_each_class(tmp_path):
    colours = {"red": 20, "blue": 3}
    for name, count in colours.items():
        for number in range(count):
            put(tmp_path / "photos" / name / f"{number}.png", Image.new("RGB", (50, 50), name))
    sheet = Image.open(io.BytesIO(montage.montage(inspected(tmp_path / "photos").survey, "PNG")))
    pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    area = 112 * 112
    assert (pixels == (255, 0, 0)).all(axis=1).sum() == 9 * area
    assert (pixels == (0, 0, 255)).all(axis=1).sum() == 3 * area


def test_the_montage_of_many_classes_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(montage, "MOST_CLASSES", 2)
    root = fill(tmp_path / "photos", {"a": 1, "b": 1, "c": 1})
    sheet = Image.open(io.BytesIO(montage.montage(inspected(root).survey, "PNG")))
    assert sheet.height == 2 * 138 + 4
