"""The help of `sweep`, as a terminal shows it."""

import os
import re
import subprocess
import sys

import pytest

from effbench.cli.panels import PANELS


@pytest.fixture(scope="module")
def lines() -> list[str]:
    done = subprocess.run(
        (sys.executable, "-m", "effbench.cli.main", "sweep", "--help"),
        env={**os.environ, "COLUMNS": "80", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_help_of_a_sweep_fits_80_columns(lines):
    assert max(map(len, lines)) == 80
    assert not [line for line in lines if "…" in line]


def test_every_flag_of_a_sweep_is_whole_in_its_panel(lines):
    shown: dict[str, list[str]] = {}
    for line in lines:
        if title := re.match(r"╭─ (.+?) ─+╮$", line):
            shown[title[1]] = flags = []
        elif flag := re.match(r"│ --([a-z-]+) ", line):
            flags.append(flag[1].replace("-", "_").replace("set", "settings"))
    assert {title: tuple(flags) for title, flags in shown.items()} == PANELS
