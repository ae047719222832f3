"""The command that makes the photos of results/blurred-or-sharp."""

import subprocess
import sys
from pathlib import Path

from support import blurred

SCRIPT = Path(blurred.__file__)


def test_without_folders_it_says_how_it_is_used():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "usage: python tests/support/blurred.py PHOTOS FOLDER\n"


def test_without_photos_nothing_is_written(tmp_path):
    asked = [sys.executable, SCRIPT, tmp_path / "nowhere", tmp_path / "out"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"no folder of photos: {tmp_path / 'nowhere'}\n")
    assert not (tmp_path / "out").exists()
