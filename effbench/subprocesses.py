"""What every process has that another one of ours starts and talks to over its pipes."""

from __future__ import annotations

import os
import signal
import threading
from typing import BinaryIO

# Exit code of a process whose last line on standard error is that of an `EffbenchError`.
REFUSED = 4


def channel() -> BinaryIO:
    """Standard output for messages alone: what libraries print goes to standard error from now."""
    own = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return own


def end_with_parent() -> None:
    """Ends this process when its standard input does, so that it never outlives who started it."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    # Without a buffer: a thread that waits in a buffered read stops the interpreter's exit.
    while os.read(0, 4096):
        pass
    os._exit(3)


def described(error: BaseException) -> str:
    """The kind of an error and the line of its message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # TensorFlow puts the trace of a traced function before what went wrong.
    line = lines[-1] if lines[0] == "in user code:" else lines[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def ended(code: int, said: str) -> str:
    """Why a process ended without an answer, from its exit code and its standard error."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (often the system out of memory)" if name == "SIGKILL" else ""
        return f"ended by {name}{hint}"
    lines = said.strip().splitlines() or ["it said nothing"]
    return f"ended with code {code}: {' '.join(lines[-1].split())[:300]}"
