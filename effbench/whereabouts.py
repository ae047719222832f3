"""Where this machine has seen data and weights, by their hash.

Records name no folders, so that whoever has them may show them to anybody; this stays in the cache.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from effbench import cache
from effbench.errors import DiskError
from effbench.files import write_atomically


def remember(sha256: str, path: Path) -> None:
    """Notes where the content of this hash is; the last place counts.

    Where nothing can be written, nothing is noted.
    """
    with contextlib.suppress(DiskError, OSError):
        note, content = cache.whereabouts() / sha256, os.fsencode(path.resolve())
        if not note.exists() or note.read_bytes() != content:
            write_atomically(note, content)


def of(sha256: str) -> Path | None:
    """Where the content of this hash was seen; None if nowhere, or if nothing is there any more.

    It may have changed since.
    """
    try:
        path = Path(os.fsdecode((cache.whereabouts() / sha256).read_bytes()))
    except OSError:
        return None
    return path if path.exists() else None
