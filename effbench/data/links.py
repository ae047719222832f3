"""Links that lead to no file and to no folder."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

_WORDS: Mapping[int | None, str] = {
    errno.ELOOP: "a link that leads back to itself",
    errno.ENOENT: "a link to nothing",
    errno.ENOTDIR: "a link to nothing",
}


def broken(path: Path) -> str:
    """What is wrong with a link; "" for one that leads somewhere, and for what is no link."""
    if path.is_symlink():
        try:
            path.stat()
        except OSError as error:
            return _WORDS.get(error.errno, "")
    return ""
