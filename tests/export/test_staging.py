"""Files get their names together, or everything is as it was."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from effbench.errors import DiskError
from effbench.export.staging import clear, staged


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("old")
    (tmp_path / "card").write_text("old")
    (tmp_path / "stale").write_text("old")
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def put(folder: Path) -> None:
    with staged(folder) as staging:
        model = staging.new(folder / "model")
        model.mkdir()
        (model / "weights").write_text("new")
        staging.write(folder / "card", b"new")
        staging.write(folder / "record", b"new")
        staging.remove(folder / "stale")
        assert content(folder)["card"] == "old"


def test_all_get_their_names_and_nothing_is_left_over(folder):
    put(folder)
    assert content(folder) == {"model/weights": "new", "card": "new", "record": "new"}
    assert sorted(path.name for path in folder.iterdir()) == ["card", "model", "record"]


@pytest.mark.parametrize("failing", ["model", "card", "record"])
def test_a_name_that_cannot_be_had_leaves_all_as_it_was(failing, folder, monkeypatch):
    before, replace = content(folder), Path.replace

    def full(path: Path, target: Path) -> Path:
        if path.name == failing and path.parent.name == "new":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DiskError, match="No space left on device"):
        put(folder)
    assert content(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == ["card", "model", "stale"]


def test_a_link_stays_one(folder):
    (folder / "link").symlink_to(folder / "far/card")
    with staged(folder) as staging:
        staging.write(folder / "link", b"new")
    assert (folder / "link").is_symlink()
    assert (folder / "far/card").read_text() == "new"


def killed(folder: Path, code: str) -> None:
    """A process that is killed as it puts things there."""
    code = f"""
import os, signal
from pathlib import Path
from effbench.export.staging import staged
folder = Path({str(folder)!r})
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with staged(folder) as staging:
    (staging.new(folder / "model") / "weights").mkdir(parents=True)
    {code}
"""
    done = subprocess.run((sys.executable, "-c", code), check=False, env=os.environ)
    assert done.returncode == -9
    assert [*folder.glob(".effbench.*")]


def test_what_a_killed_process_left_is_removed_and_what_others_write_is_not(folder):
    before = content(folder)
    killed(folder, "die()")
    with staged(folder) as staging:
        staging.write(folder / "card", b"new")
        clear(folder)
        (ours,) = folder.glob(".effbench.*")
    assert not ours.exists()
    assert content(folder) == before | {"card": "new"}


def test_what_a_killed_process_had_set_aside_gets_its_name_again(folder):
    before = content(folder)
    killed(folder, "Path.replace = die")
    assert not (folder / "model").exists()
    clear(folder)
    assert content(folder) == before
    assert not [*folder.glob(".effbench.*")]
