"""Images as squares of pixels, made once in many processes and read from the disk.

Whatever ended a process that wrote a set, a row counts if it fits its hash, and is made if it does
not; nothing else is trusted. One file, and not one for each part: any image is one read away, and
all the space is taken before the first image is decoded.
"""

from __future__ import annotations

import errno
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
from effbench.data.inspecting.listing import printable
from effbench.data.pixels import decoding_pool, pixel_reuse, pixel_room
from effbench.data.pixels.decoding_tasks import FitTask, PixelRow, WrittenRow
from effbench.data.pixels.pixel_rows import PixelRows
from effbench.data.pixels.pixel_set import (
    ABOUT,
    FILES,
    HASH_BYTES,
    HASHES,
    PIXELS,
    PixelSet,
    digest_of,
    sound_row,
    write,
)
from effbench.errors import DataError
from effbench.files import writing
from effbench.progress import Report, Step


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
    to_come: int = 0,
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
        to_come: so many more images of this size must have room, too.

    Raises:
        DiskError: they do not fit, or the disk is full.
        DataError: an image has changed since it was looked at, or cannot be read any more.
    """
    hashed = [image.sha256 for image in images]
    about = PixelSet(size, geometry.fit, geometry.filter, len(images), digest_of(hashed))
    home = folder / about.key
    with locks.held(home.with_suffix(".lock"), report, "another process decodes these images"):
        row_room = about.row_bytes + 2 * HASH_BYTES
        pixel_room.make(folder, home, len(images) * row_room, cache_gb, to_come * row_room)
        with writing(home):
            home.mkdir(exist_ok=True)
        # Written each time: its age says when the set was last used.
        files.write_atomically(home / ABOUT, json.dumps(asdict(about)).encode())
        files.write_atomically(home / FILES, bytes.fromhex("".join(hashed)))
        with _opened(home, about) as (pixels, hashes):
            whole = _whole(pixels, hashes, about, report)
            lost = np.flatnonzero(~whole).tolist()
            left = pixel_reuse.copied(hashed, lost, about, home, (pixels, hashes), report)
            _make(images, left, about, home, hashes, report)
            read = os.pread(hashes, len(images) * HASH_BYTES, 0)
        cached = f"{len(images) - len(left):,} from the cache"
        report(Step("decode", len(images), len(images), "images", cached))
        digests = np.frombuffer(read, np.uint8).reshape(-1, HASH_BYTES)
        return PixelRows(home / PIXELS, about.size, digests)


@contextmanager
def _opened(home: Path, about: PixelSet) -> Iterator[tuple[int, int]]:
    """Descriptors of the pixels and the hashes of a set, both files of their full size."""
    with writing(home):
        descriptors = [
            os.open(home / name, os.O_RDWR | os.O_CREAT, 0o644) for name in (PIXELS, HASHES)
        ]
        try:
            for descriptor, width in zip(descriptors, (about.row_bytes, HASH_BYTES), strict=True):
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

    def fits(number: int) -> bool:
        return sound_row(pixels, hashes, about.row_bytes, number) is not None

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
            write(hashes, bytes.fromhex(result.sha256), row.row * HASH_BYTES)
        already += len(written)
        report(Step("decode", already, about.images, "images"))
