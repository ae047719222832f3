"""What every process has that another one of ours starts and talks to over its pipes."""

from __future__ import annotations

import os
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
