import errno
import os
import shutil
from pathlib import Path

import platformdirs
import pytest

from effbench import cache
from effbench.errors import DiskError


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(home: Path) -> None:
    for name, size in (
        ("features/B0-224/00000-aa.npy", 1000),
        ("features/B0-224/00001-bb.npy", 24),
        ("features/T-320/00000-cc.npy", 500),
        ("photos/pixels/5-224-squash-bilinear-aa/pixels.u8", 300),
        ("photos/surveys/aa.jsonl", 7),
        ("plan/compiled/aa-v3.json", 10),
        ("plan/programs/aa.mlir", 20),
        ("downloads/efficientnetv2-b0-imagenet.h5", 70),
        ("downloads/cifar-10-python.tar.gz", 6),
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(bytes(size))


def test_the_directory_is_the_named_one_or_the_users(home, monkeypatch):
    assert cache.directory() == home
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("EFFBENCH_CACHE")
        else:
            monkeypatch.setenv("EFFBENCH_CACHE", unset)
        assert cache.directory() == Path(platformdirs.user_cache_dir("effbench"))


def test_all_that_is_kept_is_apart_and_within(home):
    places = {cache.features(), cache.plans(), cache.downloads(), cache.pixels(), cache.surveys()}
    assert len(places) == 5
    assert all(place.is_relative_to(home) for place in places)


def test_the_cache_of_keras(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert cache.keras() == tmp_path
    monkeypatch.delenv("KERAS_HOME")
    assert cache.keras() == Path.home() / ".keras"


def test_an_empty_cache(home):
    assert cache.entries() == []
    assert cache.clear(everything=True) == 0
    assert not home.exists()


def test_entries_are_sets_plans_and_downloads(home):
    fill(home)
    assert [(str(entry.path.relative_to(home)), entry.size) for entry in cache.entries()] == [
        ("downloads/cifar-10-python.tar.gz", 6),
        ("downloads/efficientnetv2-b0-imagenet.h5", 70),
        ("features/B0-224", 1024),
        ("features/T-320", 500),
        ("photos/pixels/5-224-squash-bilinear-aa", 300),
        ("photos/surveys", 7),
        ("plan", 30),
    ]


def test_clear_removes_what_can_be_computed_and_keeps_downloads(home):
    fill(home)
    assert cache.clear(everything=False) == 1861
    assert [entry.size for entry in cache.entries()] == [6, 70]
    assert cache.clear(everything=False) == 0


def test_clear_everything(home):
    fill(home)
    assert cache.clear(everything=True) == 1937
    assert cache.entries() == []


def test_what_cannot_be_removed_is_one_line(home, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    fill(home)
    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(DiskError, match=r"features: Permission denied; "):
        cache.clear(everything=False)
