"""A set of pixels: its key, its files, and which of its rows can be trusted."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from effbench.data.pixels.decoding import DECODER

# The pixels, row after row; the SHA-256 of each row; and that of the image file of each row.
PIXELS = "pixels.u8"
HASHES = "sha256.u8"
FILES = "files.u8"
ABOUT = "about.json"
HASH_BYTES = 32


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


def digest_of(files: Sequence[str]) -> str:
    """The `files_sha256` of files with these SHA-256s, in hexadecimal."""
    return hashlib.sha256("".join(files).encode()).hexdigest()


def write(descriptor: int, content: bytes, start: int) -> None:
    """Writes all of `content` into a file, from byte `start` on.

    Raises:
        OSError: it cannot be written, or not all of it.
    """
    if os.pwrite(descriptor, content, start) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sound_row(pixels: int, hashes: int, row_bytes: int, number: int) -> bytes | None:
    """A row that fits its hash; None if it does not, or was never written.

    Args:
        pixels: descriptor of the file of pixels.
        hashes: descriptor of the file of hashes.
        row_bytes: the bytes of a row.
        number: the row's number.
    """
    expected = os.pread(hashes, HASH_BYTES, number * HASH_BYTES)
    if expected == bytes(HASH_BYTES):
        return None
    row = os.pread(pixels, row_bytes, number * row_bytes)
    return row if hashlib.sha256(row).digest() == expected else None
