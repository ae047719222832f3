"""The worker's process: nothing in the working directory may pass for a library."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.records import spec

from effbench.config.recipes import RECIPES
from effbench.failures import FailureKind
from effbench.hardware.tensorflow_setup import tf
from effbench.records.store import Store
from effbench.sweep import worker
from effbench.training.job import Job, Problem

pytestmark = pytest.mark.usefixtures("shallow_networks")


def test_files_of_the_working_directory_are_no_libraries(tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise SystemExit('a file of the user ran')")
    (tmp_path / "effbench").mkdir()
    arguments = (
        "sweep --variants B0 --weights none --data digits --limit 20 --epochs 1 "
        "--recipe case-study --image-size 32 --cpu --results results"
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


def test_out_of_memory_is_said_with_what_may_help(tmp_path: Path) -> None:
    text = (
        "Graph execution error:\n\nDetected at node mul defined at:\n"
        "OOM when allocating tensor with shape[512,2048,2048,3] and type float\n"
    )
    error = tf.errors.ResourceExhaustedError(None, None, text)
    recipe = RECIPES["finetune"]
    whole = Job((spec(recipe=recipe),), tmp_path, None, None, "", "cpu", 0.0)
    assert worker._too_much(whole, error) == (
        "out of memory with 512 images at once: OOM when allocating tensor with "
        "shape[512,2048,2048,3]; a smaller --micro-batch may help, e.g. 256"
    )
    head = Job((spec(),), tmp_path, None, None, "", "cpu", 0.0)
    assert worker._too_much(head, MemoryError()) == "out of memory: MemoryError"


def test_a_full_disk_of_a_machine_is_no_failure_of_a_run() -> None:
    problem = worker._unexpected(OSError(errno.ENOSPC, "No space left on device", "/tmp/a"))
    line = "cannot write /tmp/a: No space left on device; free some space there"
    assert problem == Problem(FailureKind.DISK, line)
    assert worker._unexpected(OSError(errno.EIO, "I/O error")).kind == FailureKind.CRASH
