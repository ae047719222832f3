"""The cache of decoded images: damage, interruption, a full disk, and images that change."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.memory import extra
from support.pictures import encoded, fill, noise, put

from effbench.config.geometry import Geometry
from effbench.data.pixels import pixel_cache
from effbench.data.pixels.fitting import fitted
from effbench.data.pixels.pixel_cache import ImageFile
from effbench.data.pixels.pixel_rows import PixelRows
from effbench.data.pixels.pixel_set import FILES, HASHES, PIXELS
from effbench.errors import DataError, DiskError
from effbench.progress import Step, silent

SIZE = 12
SQUASH = Geometry()


@pytest.fixture
def images(tmp_path) -> list[ImageFile]:
    fill(tmp_path / "photos", {"a": 20})
    return files(tmp_path / "photos")


def files(root: Path) -> list[ImageFile]:
    return [
        ImageFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(root.rglob("*.*"))
    ]


def rows(
    images: Sequence[ImageFile],
    folder: Path,
    size: int = SIZE,
    geometry: Geometry = SQUASH,
    cache_gb: float | None = None,
    report=silent,
) -> PixelRows:
    return pixel_cache.rows(images, size, geometry, folder, cache_gb, report)


def expected(images: Sequence[ImageFile], size: int = SIZE) -> np.ndarray:
    return np.stack([fitted(Image.open(image.path), size, SQUASH) for image in images])


def from_the_cache(images: Sequence[ImageFile], folder: Path) -> int:
    """How many rows are not decoded again."""
    steps: list[Step] = []
    found = rows(images, folder, report=steps.append)
    np.testing.assert_array_equal(found[:], expected(images))
    return int(steps[-1].note.split()[0])


def the_set(folder: Path) -> Path:
    (home,) = folder.glob("*/")
    return home


# --- reading --------------------------------------------------------------------------------------


def test_rows_are_what_pillow_makes_of_the_files(images, tmp_path):
    found = rows(images, tmp_path / "cache")
    assert found.shape == (20, SIZE, SIZE, 3)
    assert (len(found), found.ndim, found.dtype) == (20, 4, np.uint8)
    np.testing.assert_array_equal(found[:], expected(images))


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(3, 9),
        slice(None, None, -3),
        slice(5, 5),
        np.array([7, 7, 0, -2]),
        np.array([[1, 2], [3, 4]]),
        np.arange(20) % 3 == 0,
        np.array([], int),
    ],
    ids=repr,
)
def test_it_is_indexed_as_an_array_is(index, images, tmp_path):
    found = rows(images, tmp_path / "cache")[index]
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected(images)[index])
    found[...] = 0  # a copy: the cache stays
    assert from_the_cache(images, tmp_path / "cache") == 20


def test_numbers_out_of_range_are_refused(images, tmp_path):
    with pytest.raises(IndexError):
        rows(images, tmp_path / "cache")[np.array([20])]


def test_nobody_reads_all_of_it_by_accident(images, tmp_path):
    with pytest.raises(TypeError, match="may not fit into memory"):
        np.asarray(rows(images, tmp_path / "cache"))


def test_only_what_is_asked_for_is_in_memory(images, tmp_path):
    found = rows(images, tmp_path / "cache", size=200)
    image = 200 * 200 * 3
    assert extra(lambda: found[:2]) < 3 * image
    assert extra(lambda: rows(images, tmp_path / "other", size=200)) < 12 * image


def test_the_hash_is_of_the_content(images, tmp_path):
    one, again = (rows(images, tmp_path / name).sha256 for name in "ab")
    assert one == again
    others = [
        rows(images[:-1], tmp_path / "a"),
        rows(images[::-1], tmp_path / "a"),
        rows(images, tmp_path / "a", size=13),
        rows(images, tmp_path / "a", geometry=Geometry("crop")),
        rows(images, tmp_path / "a", geometry=Geometry("squash", "bicubic")),
    ]
    assert len({one, *(found.sha256 for found in others)}) == 6
    assert len(list((tmp_path / "a").glob("*/"))) == 6


# --- keeping --------------------------------------------------------------------------------------


def test_nothing_is_decoded_twice(images, tmp_path):
    assert from_the_cache(images, tmp_path / "cache") == 0
    assert from_the_cache(images, tmp_path / "cache") == 20


def test_a_damaged_row_is_decoded_again(images, tmp_path):
    rows(images, tmp_path / "cache")
    path = the_set(tmp_path / "cache") / PIXELS
    content = bytearray(path.read_bytes())
    content[5 * SIZE * SIZE * 3 + 17] ^= 1
    path.write_bytes(content)
    assert from_the_cache(images, tmp_path / "cache") == 19
    assert from_the_cache(images, tmp_path / "cache") == 20


@pytest.mark.parametrize("name", [PIXELS, HASHES])
def test_a_file_that_is_cut_off_is_filled_again(name, images, tmp_path):
    rows(images, tmp_path / "cache")
    path = the_set(tmp_path / "cache") / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert from_the_cache(images, tmp_path / "cache") == 10


def test_what_is_cut_off_under_a_reader_is_one_line(images, tmp_path):
    found = rows(images, tmp_path / "cache")
    os.truncate(the_set(tmp_path / "cache") / PIXELS, 100)
    with pytest.raises(DataError, match=r"the cached pixels are cut off: .*; run it again"):
        found[0]


def test_an_image_that_has_changed_is_named(images, tmp_path):
    put(images[3].path, noise(99))
    with pytest.raises(DataError) as caught:
        rows(images, tmp_path / "cache")
    assert f"{images[3].path} (it has changed meanwhile); run it again" in str(caught.value)
    # Those that were decoded before it are as they were.
    assert from_the_cache(files(tmp_path / "photos"), tmp_path / "cache") < 20


def test_an_image_that_is_gone_is_named(images, tmp_path):
    images[3].path.unlink()
    with pytest.raises(DataError, match=r"0003.png \(No such file or directory\); run it again"):
        rows(images, tmp_path / "cache")


SCRIPT = """
import hashlib, sys
from pathlib import Path
from effbench.config.geometry import Geometry
from effbench.data.pixels import decoding_pool, pixel_cache
decoding_pool.cores = lambda: 2
images = [
    pixel_cache.ImageFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
    for path in sorted(Path(sys.argv[1]).rglob("*.jpg"))
]
def report(step):
    print(step.phase, step.done, step.note, flush=True)
found = pixel_cache.rows(images, 64, Geometry(), Path(sys.argv[2]), None, report)
print("hash", found.sha256)
"""


def test_after_kill_9_it_goes_on_where_it_was(tmp_path):
    content = [encoded(noise(seed, 640, 480), "JPEG") for seed in range(4)]
    for number in range(160):
        put(tmp_path / "photos" / f"{number:03d}.jpg", content[number % 4])

    def command(cache: str) -> tuple[str, ...]:
        return (sys.executable, "-c", SCRIPT, str(tmp_path / "photos"), str(tmp_path / cache))

    with subprocess.Popen(
        command("killed"), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            phase, done = line.split()[:2]
            if phase == "decode" and int(done) >= 32:
                break
        workers = children(process.pid)
        assert len(workers) == 2
        process.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers)), "they outlive their parent"
    ends = {}
    for cache in ("killed", "whole"):
        done = subprocess.run(command(cache), capture_output=True, text=True, check=True)
        *_, last, found = done.stdout.splitlines()
        ends[cache] = (int(last.split()[2]), found)
    assert 32 <= ends["killed"][0] < 160
    assert ends["whole"][0] == 0
    assert ends["killed"][1] == ends["whole"][1]


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children")
    threads = Path(f"/proc/{pid}/task").iterdir() if text.exists() else []
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


# --- other sets -----------------------------------------------------------------------------------


def test_only_what_is_new_is_decoded(images, tmp_path):
    """Of a changed, an added, a removed, a renamed and a copied file, and of another order."""
    root, cache = tmp_path / "photos", tmp_path / "cache"
    rows(images[:12], cache)
    rows(images[12:], cache)
    put(images[3].path, noise(99))
    put(root / "b" / "new.png", noise(98))
    images[5].path.unlink()
    images[7].path.rename(root / "b" / "renamed.png")
    put(root / "b" / "copy.png", images[9].path.read_bytes())
    now = files(root)[::-1]
    assert len(now) == 21
    assert from_the_cache(now, cache) == 19
    assert rows(now, cache).sha256 == rows(now, tmp_path / "fresh").sha256
    assert from_the_cache(now, cache) == 21


@pytest.mark.parametrize("name", [PIXELS, HASHES, FILES])
def test_a_damaged_row_of_another_set_is_none(name, images, tmp_path):
    rows(images, tmp_path / "cache")
    path = the_set(tmp_path / "cache") / name
    content = bytearray(path.read_bytes())
    content[5 * len(content) // 20] ^= 1
    path.write_bytes(content)
    assert from_the_cache(images[:10], tmp_path / "cache") == (0 if name == FILES else 9)


@pytest.mark.parametrize("name", [PIXELS, FILES, "about.json"])
def test_a_set_that_lacks_a_file_is_none(name, images, tmp_path):
    rows(images, tmp_path / "cache")
    (the_set(tmp_path / "cache") / name).unlink()
    assert from_the_cache(images[:10], tmp_path / "cache") == 0


def test_pixels_of_another_size_shape_or_decoder_are_others(images, tmp_path):
    cache = tmp_path / "cache"
    rows(images, cache, size=SIZE + 1)
    rows(images, cache, geometry=Geometry("squash", "bicubic"))
    rows(images, cache, geometry=Geometry("crop"))
    assert from_the_cache(images[:10], cache) == 0
    about = next(path for path in cache.glob("*/about.json") if path.parent.name.startswith("10-"))
    about.write_text(about.read_text().replace("Pillow", "another"))
    assert from_the_cache(images[:9], cache) == 0


# --- room -----------------------------------------------------------------------------------------

ROW_GB = (SIZE * SIZE * 3 + 32) / 1e9


def test_a_set_that_does_not_fit_is_one_line(images, tmp_path):
    with pytest.raises(DiskError) as caught:
        rows(images, tmp_path / "cache", cache_gb=10 * ROW_GB)
    assert str(caught.value).startswith("the pixels do not fit into the cache: ")
    assert "(--cache-gb); free some space, set --cache-gb, " in str(caught.value)
    assert not list((tmp_path / "cache").glob("*/"))


def test_half_of_the_free_disk_is_the_bound(images, tmp_path, monkeypatch):
    class Usage:
        free = int(30 * ROW_GB * 1e9)

    monkeypatch.setattr(pixel_cache.pixel_room.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(DiskError, match="half of the free disk"):
        rows(images, tmp_path / "cache")


def test_a_bound_above_the_free_disk_is_no_room(images, tmp_path, monkeypatch):
    class Usage:
        free = int(10 * ROW_GB * 1e9)

    monkeypatch.setattr(pixel_cache.pixel_room.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(DiskError, match=r"where 0\.00 MB are free; free some space"):
        rows(images, tmp_path / "cache", cache_gb=1)


def test_a_set_that_can_never_fit_drives_no_other_out(images, tmp_path, monkeypatch):
    class Usage:
        free = 0

    cache = tmp_path / "cache"
    rows(images[:2], cache)
    monkeypatch.setattr(pixel_cache.pixel_room.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(DiskError, match=r"are free, other cached pixels counted as free; free"):
        rows(images, cache, size=256, cache_gb=1)
    assert from_the_cache(images[:2], cache) == 2


def disk_takes(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*.u8")) / 1e9


def test_sets_that_were_used_longest_ago_make_room(images, tmp_path):
    cache = tmp_path / "cache"
    for number in range(3):
        rows(images[number : number + 5], cache, size=64)
    homes = sorted(cache.glob("*/"), key=lambda home: (home / "about.json").stat().st_mtime_ns)
    os.utime(homes[0] / "about.json", (1, 1))
    os.utime(homes[1] / "about.json", (3, 3))
    os.utime(homes[2] / "about.json", (2, 2))
    rows(images[3:8], cache, size=64, cache_gb=disk_takes(cache) + 1e-5)
    assert [home.exists() for home in homes] == [False, True, True]


def test_a_set_that_somebody_reads_stays(images, tmp_path):
    cache = tmp_path / "cache"
    reader = rows(images[:5], cache, size=64)
    with pytest.raises(DiskError, match=r"of which other runs read .* MB at this moment"):
        rows(images[5:10], cache, size=64, cache_gb=disk_takes(cache) * 1.5)
    np.testing.assert_array_equal(reader[:], expected(images[:5], 64))
    del reader
    rows(images[5:10], cache, size=64, cache_gb=disk_takes(cache) * 1.5)
    assert len(list(cache.glob("*/"))) == 1


def test_a_disk_that_is_full_leaves_nothing_half_written(images, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(DiskError, match="No space left on device"):
            rows(images, tmp_path / "cache")
    assert (the_set(tmp_path / "cache") / PIXELS).stat().st_size == 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskError, match="No space left on device"):
            rows(images, tmp_path / "cache")
    assert from_the_cache(images, tmp_path / "cache") == 0


def test_a_file_system_without_reservations(images, tmp_path, monkeypatch):
    def unknown(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    assert from_the_cache(images, tmp_path / "cache") == 0
    assert from_the_cache(images, tmp_path / "cache") == 20


def test_a_set_says_what_it_is(images, tmp_path):
    rows(images, tmp_path / "cache")
    about = json.loads((the_set(tmp_path / "cache") / "about.json").read_bytes())
    assert (about["size"], about["fit"], about["filter"], about["images"]) == (
        *(SIZE, "squash", "bilinear"),
        20,
    )
    assert about["decoder"].startswith("Pillow ")
