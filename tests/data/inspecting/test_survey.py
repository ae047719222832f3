import os
from pathlib import Path

import pytest
from support.pictures import encoded, fill, noise, put

from effbench import cache
from effbench.data import image_folders, image_table
from effbench.data.inspecting.survey import Survey, survey
from effbench.data.pixels import decoding_tasks
from effbench.progress import Step, silent


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path) -> Path:
    return fill(tmp_path / "photos", {"a": 3, "b": 2})


def look(root: Path) -> Survey:
    return survey(image_folders.read(root), silent)


def looked(root: Path) -> int:
    """How many files a survey decodes."""
    steps: list[Step] = []
    survey(image_folders.read(root), steps.append)
    return max((step.total for step in steps), default=0)


def reasons(seen: Survey) -> dict[str, str]:
    return {row.listed.name: row.look.problem for row in seen.unreadable}


def test_what_an_image_is(root):
    put(root / "a" / "photo.txt", encoded(noise(7, 40, 30), "JPEG"))
    row = look(root).images[-3]
    assert row.listed.name == "a/photo.txt"
    assert (row.look.format, row.look.width, row.look.height) == ("JPEG", 40, 30)


def test_the_hash_of_the_pixels_is_that_of_what_is_seen(root):
    put(root / "b" / "copy.bmp", encoded(noise(1), "BMP"))
    pixels = {row.listed.name: row.look.pixels for row in look(root).images}
    assert pixels["b/copy.bmp"] == pixels["a/0000.png"]
    assert len(set(pixels.values())) == 5


def test_files_that_were_meant_to_be_images_and_others(root):
    put(root / "a" / "notes.txt", b"hello")
    put(root / "a" / "empty.JPG", b"")
    put(root / "b" / "page.jpeg", b"<html>")
    put(root / "b" / "half.png", encoded(noise(1))[:300])
    put(root / "b" / "phone.heic", b"\0\0\0\x18ftypheic")
    seen = look(root)
    assert len(seen.images) == 5
    assert seen.no_images == ("a/notes.txt",)
    assert list(reasons(seen)) == ["a/empty.JPG", "b/half.png", "b/page.jpeg", "b/phone.heic"]
    assert reasons(seen)["a/empty.JPG"] == "0 bytes"
    assert reasons(seen)["b/page.jpeg"] == "not a JPEG, PNG, GIF, BMP or WebP"


def test_what_a_csv_names_was_meant_to_be_an_image(root):
    put(root / "a" / "notes.txt", b"hello")
    put(root / "t.csv", b"file_name,label\na/notes.txt,x\na/0000.png,y\na,z\n")
    seen = survey(image_table.read(root / "t.csv"), silent)
    assert reasons(seen) == {"a": "not a file", "a/notes.txt": "not a JPEG, PNG, GIF, BMP or WebP"}


def test_pipes_links_to_nowhere_and_links_to_themselves_do_not_hang(root):
    os.mkfifo(root / "a" / "pipe.jpg")
    (root / "a" / "broken.jpg").symlink_to("nowhere.jpg")
    (root / "a" / "loop.jpg").symlink_to("loop.jpg")
    assert reasons(look(root)) == {
        "a/broken.jpg": "a link to nothing",
        "a/loop.jpg": "a link that leads back to itself",
        "a/pipe.jpg": "not a file",
    }


def test_a_file_that_may_not_be_read_is_looked_at_again_once_it_may(root, monkeypatch):
    with monkeypatch.context() as patch:

        def forbidden(_: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        patch.setattr(Path, "read_bytes", forbidden)
        assert set(reasons(look(root)).values()) == {"Permission denied"}
    assert len(look(root).images) == 5


def test_a_file_that_may_no_longer_be_read_is_looked_at_again(root, monkeypatch):
    assert looked(root)
    hidden = next(path for path in sorted(root.rglob("*")) if path.is_file())
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != hidden.resolve())
    assert looked(root) == 1


def test_a_file_that_is_too_large_for_an_image(root, monkeypatch):
    monkeypatch.setattr(decoding_tasks, "LARGEST_FILE", 1000)
    put(root / "a" / "film.jpg", bytes(2000))
    assert reasons(look(root))["a/film.jpg"].startswith("larger than an image: ")


def test_a_file_is_decoded_once(root):
    assert [looked(root), looked(root)] == [5, 0]


def test_a_file_that_changes_is_looked_at_again(root):
    before = look(root)
    put(root / "a" / "0001.png", noise(99))
    put(root / "a" / "0003.png", noise(98))
    (root / "b" / "0000.png").unlink()
    assert looked(root) == 2
    after = look(root)
    assert len(after.images) == 5
    hashes = [{row.listed.name: row.look.sha256 for row in seen.images} for seen in (before, after)]
    assert hashes[0]["a/0001.png"] != hashes[1]["a/0001.png"]
    assert hashes[0]["a/0000.png"] == hashes[1]["a/0000.png"]


def test_a_change_is_seen_where_size_and_time_of_modification_are_kept(root):
    """As by rsync and tar, of bitmaps of one size."""
    path = root / "a" / "0000.png"
    before = path.stat()
    look(root)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looked(root) == 1


def test_a_survey_that_was_cut_off_goes_on(root):
    look(root)
    (path,) = cache.surveys().glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-40])
    assert looked(root) == 1
    path.write_bytes(b"junk\n" + path.read_bytes())
    assert looked(root) == 0


def test_progress_is_in_images(root):
    steps: list[Step] = []
    survey(image_folders.read(root), steps.append)
    assert [(step.phase, step.done, step.total, step.unit) for step in steps] == [
        ("look", 0, 5, "images"),
        ("look", 5, 5, "images"),
    ]
