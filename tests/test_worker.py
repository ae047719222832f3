"""The worker's process: nothing in the working directory may pass for a library."""

import os
import subprocess
import sys
from pathlib import Path

from effbench.store import Store


def test_files_of_the_working_directory_are_no_libraries(tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise SystemExit('a file of the user ran')")
    (tmp_path / "effbench").mkdir()
    arguments = (
        "sweep --variants B0 --weights none --data digits --limit 20 --epochs 1 "
        "--image-size 32 --cpu --results results"
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "effbench", *arguments.split()],
        cwd=tmp_path,
        env={**os.environ, "EFFBENCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(Store(tmp_path / "results").load().results) == 1
