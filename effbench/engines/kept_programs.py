"""Compiled programs on disk, each with its checksum: who runs half of one may end by it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from effbench import cpu
from effbench.files import write_atomically
from effbench.progress import Report, Step

_DIGEST = hashlib.sha256().digest_size

# Why what was compiled before is compiled again.
DAMAGED = Step("a program in the cache is damaged: compile it again", lasting=True)
ELSEWHERE = Step(
    "the program in the cache is for another device or version: compile it again", lasting=True
)


def named(*words: str) -> str:
    """A short hash of what a program follows from."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:24]


def on_cpu() -> tuple[str, str]:
    """What a program for this CPU follows from: XLA divides it among the cores that there are."""
    return cpu.instructions(), cpu.counted()


def flags() -> str:
    """What XLA was asked for besides."""
    return os.environ.get("XLA_FLAGS", "")


def read(path: Path, report: Report) -> bytes:
    """A program that was kept; b"" where none is, or a damaged one, which is said."""
    if not path.exists():
        return b""
    content = path.read_bytes()
    digest, program = content[:_DIGEST], content[_DIGEST:]
    if digest == hashlib.sha256(program).digest():
        return program
    report(DAMAGED)
    return b""


def write(path: Path, program: bytes) -> None:
    """Keeps a program.

    Raises:
        DiskError: it cannot be kept.
    """
    write_atomically(path, hashlib.sha256(program).digest() + program)
