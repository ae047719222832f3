"""Sweeps in processes of their own, as a user starts them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from effbench import subprocesses
from effbench.records.record import RunResult
from effbench.records.store import Store


def words(arguments: str, results: Path) -> list[str]:
    return ["effbench.cli.main", "sweep", *arguments.split(), "--results", str(results)]


def sweep(arguments: str, results: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A sweep to its end; where workers are `quick_workers`, it is as quick to start."""
    command = (*subprocesses.COMMAND, *words(arguments, results))
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def start(arguments: str, results: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """A sweep to be watched: the process itself, and workers that are its children."""
    return subprocess.Popen(
        (sys.executable, "-m", *words(f"{arguments} --verbose", results)),
        env=env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: subprocess.Popen[str], words: str) -> None:
    """Reads what a sweep says until a line has `words`, a regular expression."""
    for line in process.stdout:
        if re.search(words, line):
            return
    pytest.fail(f"the sweep ended before it said {words!r}: {process.stderr.read()}")


def outcome(results: Path) -> dict[str, object]:
    """What must not depend on interruptions: scores, history and predictions by key."""
    return {
        result.spec.key: (result.selected, result.history, result.predictions.sha256)
        for result in Store(results).load().results
    }


def one(results: Path) -> RunResult:
    (result,) = Store(results).load().results
    return result
