import os
from pathlib import Path

import pytest
from support.pictures import put

from effbench.data.image_folders import read
from effbench.data.inspecting.listing import Listing
from effbench.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        put(root / name, b"x")
    return root


def rows(listing: Listing) -> list[tuple[str, str, str]]:
    return [(image.name, image.label, image.split) for image in listing.images]


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flat_classes(tmp_path):
    listing = read(touch(tmp_path, "bees/2.jpg", "bees/1.jpg", "ants/3.jpg"))
    assert rows(listing) == [
        ("ants/3.jpg", "ants", ""),
        ("bees/1.jpg", "bees", ""),
        ("bees/2.jpg", "bees", ""),
    ]
    assert listing.classes == ("ants", "bees")
    assert not listing.certain


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "VAL", "Valid"])
def test_splits_by_all_their_names(name, tmp_path):
    listing = read(touch(tmp_path, "train/a/1", f"{name}/a/2", "test/b/3"))
    assert {image.split for image in listing.images} == {"train", "validation", "test"}
    assert [image.label for image in listing.images if image.split == "validation"] == ["a"]
    assert listing.classes == ("a", "b")


def test_a_class_that_is_called_like_a_split_is_a_class_if_images_lie_in_it(tmp_path):
    listing = read(touch(tmp_path, "train/1.jpg", "plane/2.jpg", "test/3.jpg"))
    assert listing.classes == ("plane", "test", "train")
    assert {image.split for image in listing.images} == {""}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "9", "2", "01"], ("01", "2", "9", "10")),
        (["10", "9", "2", "a"], ("10", "2", "9", "a")),
        (["b", "B", "ä", "a"], ("B", "a", "b", "ä")),
    ],
)
def test_numbers_go_by_their_value_and_names_by_their_letters(names, expected, tmp_path):
    assert read(touch(tmp_path, *(f"{name}/x.jpg" for name in names))).classes == expected


def test_deeper_folders_belong_to_their_class(tmp_path):
    listing = read(touch(tmp_path, "a/1.jpg", "a/camera 1/2.jpg", "b/3.jpg"))
    assert [row[:2] for row in rows(listing)] == [
        ("a/1.jpg", "a"),
        ("a/camera 1/2.jpg", "a"),
        ("b/3.jpg", "b"),
    ]


def test_what_is_hidden_is_counted_once_and_passed_over(tmp_path):
    hidden = (".git/config", "a/.DS_Store", "b/Thumbs.db", "__MACOSX/a/._1.jpg", "train/.x")
    listing = read(touch(tmp_path, "a/1.jpg", "b/1.jpg", "train/2.jpg", *hidden))
    assert listing.hidden == 5
    assert listing.classes == ("a", "b", "train")
    assert len(listing.images) == 3


def test_files_outside_of_classes_are_named(tmp_path):
    listing = read(touch(tmp_path, "README", "train/labels.csv", "train/a/1", "val/b/2"))
    assert listing.beside == ("README", "train/labels.csv")


def test_names_with_everything_in_them(tmp_path):
    names = ['a b/it\'s "x".jpg', "a b/new\nline.jpg", "ämse/日本 😀.jpg", "-x/$(rm).jpg"]
    assert [row[0] for row in rows(read(touch(tmp_path, *names)))] == sorted(names)


def test_a_class_has_one_spelling(tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    listing = read(touch(tmp_path, f"train/{composed}/1", f"val/{decomposed}/2"))
    assert listing.classes == (composed,)
    assert len(listing.images) == 2


def test_spaces_around_the_name_of_a_class_are_none_of_it(tmp_path):
    listing = read(touch(tmp_path, "train/cat /1", "val/cat/2", "train/dog/3"))
    assert listing.classes == ("cat", "dog")
    assert [row[0] for row in rows(listing)] == ["train/cat /1", "train/dog/3", "val/cat/2"]


def test_a_class_without_files_is_still_a_class(tmp_path):
    (tmp_path / "b").mkdir()
    assert read(touch(tmp_path, "a/1")).classes == ("a", "b")


def test_links_to_folders_and_files_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "photos/b/2.jpg")
    (tmp_path / "photos" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "b" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    assert [row[0] for row in rows(read(tmp_path / "photos"))] == ["a/1.jpg", "b/2.jpg", "b/3.jpg"]


# --- what is refused ------------------------------------------------------------------------------


def test_an_empty_folder(tmp_path):
    assert refused(tmp_path).startswith(f"no folders of classes: {tmp_path} holds nothing; give ")


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("cat", "cat ", "'cat' and 'cat '"),
        ("cafe\u0301", "caf\u00e9", r"'cafe\u0301' and 'caf\xe9'"),
    ],
)
def test_two_folders_of_one_class(first, second, shown, tmp_path):
    line = refused(touch(tmp_path, f"{first}/1", f"{second}/2", "dog/3"))
    assert line.startswith(f"folders of one class are spelled in two ways: {shown}; ")


def test_a_folder_without_a_name(tmp_path):
    line = refused(touch(tmp_path, " /1", "dog/3"))
    assert line == "a folder's name is no name of a class: ' '; rename it"


def test_images_without_classes(tmp_path):
    line = refused(touch(tmp_path, "1.jpg", "2.jpg"))
    assert "holds 2 files outside of folders; give <class>/* or <split>/<class>/*" in line


def test_folders_beside_splits(tmp_path):
    line = refused(touch(tmp_path, "train/a/1", "test/a/2", "labels/x"))
    assert line.startswith(
        "folders of splits and other folders stand side by side: test, train beside labels; "
    )


def test_two_folders_of_one_split(tmp_path):
    line = refused(touch(tmp_path, "train/a/1", "val/a/2", "valid/a/3"))
    assert line.startswith("two folders of the validation split: val, valid; ")


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_in_a_circle(target, tmp_path):
    touch(tmp_path, "x/a/1.jpg", "x/b/2.jpg")
    (tmp_path / "x" / "a" / "loop").symlink_to(target)
    line = refused(tmp_path / "x")
    assert line == "a link leads back to a folder around it: a/loop; remove the link"


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a" / "loop.jpg").symlink_to("loop.jpg")
    assert [row[0] for row in rows(read(tmp_path))] == ["a/1.jpg", "a/loop.jpg", "b/2.jpg"]


@pytest.mark.parametrize("where", ["c", "a/c"])
@pytest.mark.parametrize(
    ("target", "what"), [("c", "a link that leads back to itself"), ("gone", "a link to nothing")]
)
def test_a_link_that_might_have_been_a_folder(where, target, what, tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / where).symlink_to(target)
    assert refused(tmp_path) == f"{what}: {where}; mend or remove it"


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    scandir = os.scandir

    def forbidden(path: Path) -> object:
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    assert refused(tmp_path).startswith(
        f"a folder cannot be read: {tmp_path}/b (Permission denied); "
    )


@pytest.mark.parametrize("name", [b"a/caf\xe9.jpg", b"caf\xe9/1.jpg"])
def test_a_name_that_is_not_utf_8(name, tmp_path):
    touch(tmp_path, "a/1.jpg")
    put(tmp_path / os.fsdecode(name), b"x")
    assert "caf\\xe9" in refused(tmp_path)
