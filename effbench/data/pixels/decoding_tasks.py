"""What is done with image files, some at a time: whoever asks gets an answer for each, in order.

The tasks are plain data, so that another process can do them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from effbench.config.geometry import Geometry
from effbench.data import links
from effbench.data.pixels.decoding import DecodedImage, UnreadableImageError, decode
from effbench.data.pixels.fitting import fitted

# More bytes are no photo, and would fill the memory.
LARGEST_FILE = 1 << 30


@dataclass(frozen=True)
class Look:
    """What an image file is.

    Attributes:
        sha256: of the file.
        format: as in `decoding.DecodedImage`.
        width: pixels, once it is turned as EXIF says.
        height: likewise.
        pixels: SHA-256 of its shape and its decoded pixels.
        problem: why it cannot be read; "" if it can.
    """

    sha256: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    pixels: str = ""
    problem: str = ""


@dataclass(frozen=True)
class LookTask:
    """Says what some files are."""

    paths: tuple[str, ...]
    kind: Literal["look"] = "look"

    def do(self) -> tuple[Look, ...]:
        """A `Look` for each path."""
        return tuple(map(_look, self.paths))


@dataclass(frozen=True)
class PixelRow:
    """An image that is to become a row of pixels.

    Attributes:
        path: of its file.
        sha256: of the file, as it was looked at.
        row: the row's number.
    """

    path: str
    sha256: str
    row: int


@dataclass(frozen=True)
class WrittenRow:
    """What became of a `PixelRow`.

    Attributes:
        sha256: of the row's pixels; "" where there are none.
        problem: why there are none.
        disk: the number of the error where the disk is to blame.
    """

    sha256: str
    problem: str = ""
    disk: int = 0


@dataclass(frozen=True)
class FitTask:
    """Decodes some images and writes them into a file of pixels.

    Attributes:
        rows: the images, and where they go.
        file: a file of rows, uint8 [n, size, size, 3].
        size: pixels a side.
        geometry: how they become squares.
    """

    rows: tuple[PixelRow, ...]
    file: str
    size: int
    geometry: Geometry
    kind: Literal["fit"] = "fit"

    def do(self) -> tuple[WrittenRow, ...]:
        """A `WrittenRow` for each image."""
        with Path(self.file).open("r+b", buffering=0) as file:
            return tuple(self._written(file.fileno(), row) for row in self.rows)

    def _written(self, descriptor: int, row: PixelRow) -> WrittenRow:
        try:
            held = content(row.path)
            if hashlib.sha256(held).hexdigest() != row.sha256:
                return WrittenRow("", "it has changed meanwhile")
            pixels = fitted(decode(held).image, self.size, self.geometry).tobytes()
        except UnreadableImageError as error:
            return WrittenRow("", str(error))
        try:
            start = row.row * len(pixels)
            done = 0
            while done < len(pixels):
                done += os.pwrite(descriptor, pixels[done:], start + done)
        except OSError as error:
            return WrittenRow("", error.strerror or repr(error), error.errno or 0)
        return WrittenRow(hashlib.sha256(pixels).hexdigest())


@dataclass(frozen=True)
class HashTask:
    """Hashes what some images show, for finding those that look the same."""

    paths: tuple[str, ...]
    kind: Literal["hash"] = "hash"

    def do(self) -> tuple[str, ...]:
        """A perceptual hash of 64 bits for each path, in hexadecimal; "" for an unreadable one."""
        return tuple(map(_perceptual_hash, self.paths))


Task = LookTask | FitTask | HashTask
TASK: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="kind")])


def content(path: str) -> bytes:
    """The bytes of a file.

    Raises:
        UnreadableImageError: it is none, or too large for an image, or cannot be read.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise UnreadableImageError("not a file")
        if status.st_size > LARGEST_FILE:
            raise UnreadableImageError(f"larger than an image: {status.st_size / 1e9:.1f} GB")
        return Path(path).read_bytes()
    except OSError as error:
        reason = links.broken(Path(path)) or error.strerror or repr(error)
        raise UnreadableImageError(reason) from error


def _look(path: str) -> Look:
    try:
        held = content(path)
    except UnreadableImageError as error:
        return Look(problem=str(error))
    sha256 = hashlib.sha256(held).hexdigest()
    try:
        picture = decode(held)
    except UnreadableImageError as error:
        return Look(sha256, problem=str(error))
    return Look(sha256, picture.format, *picture.image.size, _pixels(picture))


def _pixels(picture: DecodedImage) -> str:
    values = np.asarray(picture.image)
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def _perceptual_hash(path: str) -> str:
    import imagehash

    try:
        return str(imagehash.phash(decode(content(path)).image))
    except UnreadableImageError:
        return ""
