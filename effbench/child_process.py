"""The child's half of `effbench.subprocesses`: how a child reads what it is asked, and answers."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import BinaryIO

# Exit code of a process whose last line on standard error is that of an `EffbenchError`.
REFUSED = 4

# Names the temporary folder that a child has for itself. Not TMPDIR, which may be anybody's where
# a child's module is run by hand.
SCRATCH = "EFFBENCH_SCRATCH"


def channel() -> BinaryIO:
    """Standard output for messages alone: what libraries print goes to standard error from now."""
    messages = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return messages


def asked() -> Iterator[bytes]:
    """Lines of standard input; when that ends, so does this process: it never outlives its parent.

    Call it only once.
    """
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    return iter(lines.get, None)


def _read(lines: SimpleQueue[bytes]) -> None:
    begun = b""
    # Without a buffer: a thread that waits in a buffered read stops the interpreter's exit.
    while read := os.read(0, 1 << 16):
        *whole, begun = (begun + read).split(b"\n")
        for line in whole:
            lines.put(line)
    # The parent may have been killed, and cannot clean up then.
    if scratch := os.environ.get(SCRATCH):
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(3)


def described(error: BaseException) -> str:
    """The kind of an error and the line of its message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # TensorFlow puts the trace of a traced function before what went wrong.
    line = lines[-1] if lines[0] == "in user code:" else lines[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
