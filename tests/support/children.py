"""Child processes that a script plays: it reads what it is asked, and says what a test wants."""

import sys

import pytest

from effbench import subprocesses

# The line that the process was handed is `asked`; `say` answers with a line.
HEAD = """
import json, os, signal, sys, time
asked = sys.stdin.readline()
def say(line):
    print(line, flush=True)
"""


def play(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Every child runs `code` instead of its module."""
    monkeypatch.setattr(subprocesses, "COMMAND", (sys.executable, "-c", HEAD + code))
