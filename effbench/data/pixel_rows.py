"""Pixels of many images on the disk, read as an array is, a part at a time."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import numpy as np

Index = int | slice | np.ndarray


class PixelRows:
    """A read-only uint8 array [n, size, size, 3] over a memory map.

    `rows[index]` takes a number, a slice or an array of numbers, and returns an array in memory
    with those images alone. Pages that were read do not stay with the process: the system keeps
    them as long as it has memory to spare.

    Attributes:
        shape: (n, size, size, 3).
        dtype: uint8.
        sha256: of the content: of the shape and the hash of each row.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, values: np.memmap, digests: np.ndarray) -> None:
        self._values = values
        self.shape: tuple[int, ...] = values.shape
        self.sha256 = hashlib.sha256(repr(self.shape).encode() + digests.tobytes()).hexdigest()

    @classmethod
    def opened(cls, path: Path, size: int, digests: np.ndarray) -> PixelRows:
        """Maps a file of rows.

        Args:
            path: the file.
            size: pixels a side.
            digests: uint8 [n, 32], the SHA-256 of each row.
        """
        with path.open("rb") as file:
            # Shared, for as long as it is mapped: `pixel_room` removes no set that somebody reads.
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_SH)
            shape = (len(digests), size, size, 3)
            return cls(np.memmap(file, np.uint8, "r", shape=shape), digests)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> np.ndarray:
        rows = np.array(self._values[index], copy=True, subok=False)
        if hasattr(mmap, "MADV_DONTNEED"):
            # Else what was read counts as this process's memory, until all of it does.
            self._values._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
        return rows

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("these images may not fit into memory; take some of them by rows[index]")
