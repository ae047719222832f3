"""Images as squares of pixels, made once in many processes and read from the disk.

A set is two files: the pixels, row after row, and a hash of each row. Whatever ended a process that
wrote them, a row counts if it fits its hash, and is made if it does not; nothing else is trusted.
One file, and not one for each part: any image is one read away, and all the space is taken before
the first image is decoded.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from effbench import files, locks
from effbench.config.geometry import Geometry
from effbench.cpu import cores
from effbench.data import decoding_pool, pixel_room
from effbench.data.decoding import DECODER
from effbench.data.decoding_tasks import FitTask, PixelRow, WrittenRow
from effbench.data.listing import printable
from effbench.data.pixel_rows import PixelRows
from effbench.errors import DataError
from effbench.files import writing
from effbench.progress import Report, Step

PIXELS = "pixels.u8"
HASHES = "sha256.u8"
_HASH_BYTES = 32


@dataclass(frozen=True)
class PixelSet:
    """All that the pixels depend on. Same key, same pixels.

    Attributes:
        size: pixels a side.
        fit: as in `Geometry`.
        filter: likewise.
        images: how many there are.
        files_sha256: SHA-256 of the SHA-256s of the files, in their order.
        decoder: `decoding.DECODER`.
    """

    size: int
    fit: str
    filter: str
    images: int
    files_sha256: str
    decoder: str = DECODER

    @property
    def key(self) -> str:
        """Readable name and short hash of every field; also the name of its folder."""
        canonical = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
        return f"{self.images}-{self.size}-{self.fit}-{self.filter}-{digest}"

    @property
    def row_bytes(self) -> int:
        """The bytes of an image."""
        return self.size * self.size * 3


@dataclass(frozen=True)
class ImageFile:
    """An image on the disk, and the SHA-256 that it had when it was looked at."""

    path: Path
    sha256: str


def rows(
    images: Sequence[ImageFile],
    size: int,
    geometry: Geometry,
    folder: Path,
    cache_gb: float | None,
    report: Report,
) -> PixelRows:
    """The pixels of some images, from the cache in `folder` where it has them.

    Args:
        images: in the order of the rows.
        size: pixels a side.
        geometry: how an image becomes a square.
        folder: the folder of all sets.
        cache_gb: gigabytes that all sets may take; None for half of what is free without them.
            Those that were used longest ago make room.
        report: told of the progress, in images.

    Raises:
        DiskError: they do not fit, or the disk is full.
        DataError: an image has changed since it was looked at, or cannot be read any more.
    """
    digest = hashlib.sha256("".join(image.sha256 for image in images).encode()).hexdigest()
    about = PixelSet(size, geometry.fit, geometry.filter, len(images), digest)
    home = folder / about.key
    with locks.held(home.with_suffix(".lock"), report, "another process decodes these images"):
        pixel_room.make(folder, home, len(images) * (about.row_bytes + _HASH_BYTES), cache_gb)
        with writing(home):
            home.mkdir(exist_ok=True)
        # Written each time: its age says when the set was last used.
        files.write_atomically(home / "about.json", json.dumps(asdict(about)).encode())
        with _opened(home, about) as (pixels, hashes):
            whole = _whole(pixels, hashes, about, report)
            left = [number for number in range(len(images)) if not whole[number]]
            _make(images, left, about, home, hashes, report)
            found = os.pread(hashes, len(images) * _HASH_BYTES, 0)
        report(
            Step("decode", len(images), len(images), "images", f"{whole.sum():,} from the cache")
        )
        digests = np.frombuffer(found, np.uint8).reshape(-1, _HASH_BYTES)
        return PixelRows(home / PIXELS, about.size, digests)


@contextmanager
def _opened(home: Path, about: PixelSet) -> Iterator[tuple[int, int]]:
    """Descriptors of the pixels and the hashes of a set, both files of their full size."""
    with writing(home):
        descriptors = [
            os.open(home / name, os.O_RDWR | os.O_CREAT, 0o644) for name in (PIXELS, HASHES)
        ]
        try:
            for descriptor, width in zip(descriptors, (about.row_bytes, _HASH_BYTES), strict=True):
                _allocate(descriptor, about.images * width)
            yield descriptors[0], descriptors[1]
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _allocate(descriptor: int, size: int) -> None:
    """Takes all the space at once, so that a full disk is known before hours of work."""
    before = os.fstat(descriptor).st_size
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, max(1, size))
        except OSError as error:
            os.ftruncate(descriptor, before)
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not on every file system
                raise
    os.ftruncate(descriptor, size)


def _whole(pixels: int, hashes: int, about: PixelSet, report: Report) -> np.ndarray:
    """Which rows are what their hashes say: bool [images]."""
    empty = bytes(_HASH_BYTES)

    def fits(number: int) -> bool:
        expected = os.pread(hashes, _HASH_BYTES, number * _HASH_BYTES)
        if expected == empty:
            return False
        row = os.pread(pixels, about.row_bytes, number * about.row_bytes)
        return hashlib.sha256(row).digest() == expected

    whole = np.zeros(about.images, bool)
    step = max(1, (64 << 20) // about.row_bytes)  # 64 MB between two reports
    with ThreadPoolExecutor(cores()) as threads:
        for start in range(0, about.images, step):
            numbers = range(start, min(start + step, about.images))
            whole[numbers.start : numbers.stop] = list(threads.map(fits, numbers))
            if whole.any():
                report(Step("verify", numbers.stop, about.images, "images"))
    return whole


def _make(
    images: Sequence[ImageFile],
    left: Sequence[int],
    about: PixelSet,
    home: Path,
    hashes: int,
    report: Report,
) -> None:
    """Decodes the images of some rows into the files of a set."""
    geometry = Geometry(about.fit, about.filter)
    tasks = [
        FitTask(
            tuple(PixelRow(str(images[row].path), images[row].sha256, row) for row in batch),
            str(home / PIXELS),
            about.size,
            geometry,
        )
        for batch in decoding_pool.batches(left)
    ]
    already = about.images - len(left)
    if tasks:
        report(Step("decode", already, about.images, "images"))
    for position, written in decoding_pool.done(tasks, WrittenRow):
        for row, result in zip(tasks[position].rows, written, strict=True):
            if result.disk:
                raise OSError(result.disk, result.problem)
            if result.problem:
                raise DataError(
                    "an image is not what it was when it was looked at",
                    f"{printable(row.path)} ({result.problem})",
                    "run it again",
                )
            if os.pwrite(hashes, bytes.fromhex(result.sha256), row.row * _HASH_BYTES) < _HASH_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        already += len(written)
        report(Step("decode", already, about.images, "images"))
