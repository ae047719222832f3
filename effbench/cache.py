"""The user's cache directory: features, pixels, plans, and downloaded datasets and weights."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from effbench.errors import DiskError
from effbench.files import write_once, writing


def directory() -> Path:
    """`EFFBENCH_CACHE`, or the user cache directory of this system."""
    return Path(os.environ.get("EFFBENCH_CACHE") or platformdirs.user_cache_dir("effbench"))


def features() -> Path:
    """Where features of frozen backbones are kept, one folder a set."""
    return directory() / "features"


def plans() -> Path:
    """Where `effbench plan` keeps programs and what their compiler said of them."""
    return directory() / "plan"


def programs() -> Path:
    """Where programs that XLA has compiled are kept, one file each; TensorFlow's by group."""
    return directory() / "programs"


def batches() -> Path:
    """Where it is kept which batch was fastest, one file a device, engine and network."""
    return directory() / "batches"


def pixels() -> Path:
    """Where images are kept as squares of pixels, one folder a set."""
    return directory() / "photos" / "pixels"


def surveys() -> Path:
    """Where it is kept what image files are, one file a folder of images."""
    return directory() / "photos" / "surveys"


def whereabouts() -> Path:
    """Where it is kept where data and weights were seen, one file a hash."""
    return directory() / "whereabouts"


def downloads() -> Path:
    """Where datasets and weights are downloaded to."""
    return directory() / "downloads"


def keras() -> Path:
    """Where Keras keeps its own downloads."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


@dataclass(frozen=True)
class CacheEntry:
    """A set of features or pixels, a folder of what is small, or a download; its size in bytes."""

    path: Path
    size: int


def entries() -> list[CacheEntry]:
    """All there is in the cache, sorted by path."""
    whole = [folder for folder in (plans(), programs(), batches(), surveys()) if folder.is_dir()]
    sets = [*features().glob("*/"), *pixels().glob("*/")]
    paths = sorted([*sets, *whole, *downloads().glob("*")])
    return [CacheEntry(path, _size(path)) for path in paths]


def clear(everything: bool) -> int:
    """Removes what can be computed again, and with `everything` the downloads too.

    Returns:
        The number of bytes freed.

    Raises:
        DiskError: something cannot be removed.
    """
    freed = 0
    computed = [features(), pixels(), surveys(), plans(), programs(), batches(), whereabouts()]
    for folder in [*computed, *([downloads()] if everything else [])]:
        if folder.exists():
            freed += _size(folder)
            with writing(folder):
                shutil.rmtree(folder)
    return freed


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def identity() -> str:
    """Names this cache, wherever it is seen from; "" for one that cannot be written."""
    path = directory() / "identity"
    with contextlib.suppress(DiskError, OSError):  # where nothing is kept, nothing is shared
        if not path.exists():
            write_once(path, f"{uuid.uuid4().hex}\n".encode())
        return path.read_text("utf-8").strip()
    return ""
