"""Rows of pixels that another set has: of the same files, decoded in the same way.

So a photo that is changed or added costs itself alone, whatever it does to the splits.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

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
from effbench.progress import Report, Step

# Rows between two reports.
_BETWEEN = 500


def copied(
    files: Sequence[str],
    left: Sequence[int],
    about: PixelSet,
    home: Path,
    opened: tuple[int, int],
    report: Report,
) -> list[int]:
    """Copies rows from other sets into a new one.

    A set that is removed meanwhile can be read to its end, and a row that does not fit its hash is
    passed over.

    Args:
        files: the SHA-256 of the file of each row, in hexadecimal.
        left: numbers of the rows that are wanted.
        about: the new set.
        home: its folder; the others are beside it.
        opened: descriptors of its files of pixels and of hashes.
        report: told of the progress, in images.

    Returns:
        The numbers of the rows that no other set has.

    Raises:
        OSError: a row cannot be written.
    """
    (pixels, hashes), count = opened, 0
    wanted: dict[str, list[int]] = defaultdict(list)
    for number in left:
        wanted[files[number]].append(number)
    for folder, others in _like(about, home) if wanted else ():
        rows = [(row, file) for row, file in enumerate(others) if file in wanted]
        for row, content in _sound(folder, about.row_bytes, [row for row, _ in rows]):
            for number in wanted.pop(others[row], ()):
                write(pixels, content, number * about.row_bytes)
                write(hashes, hashlib.sha256(content).digest(), number * HASH_BYTES)
                count += 1
                if count % _BETWEEN == 0:
                    report(Step("copy", count, len(left), "images"))
    return sorted(number for numbers in wanted.values() for number in numbers)


def _like(about: PixelSet, home: Path) -> Iterator[tuple[Path, list[str]]]:
    """Sets of other files whose rows are made in the same way, and the files of their rows."""
    for folder in sorted(home.parent.glob("*/")):
        try:
            other = PixelSet(**json.loads((folder / ABOUT).read_bytes()))
            content = (folder / FILES).read_bytes()
        except (OSError, ValueError, TypeError):  # it has just been removed, or is of another time
            continue
        files = [
            content[start : start + HASH_BYTES].hex()
            for start in range(0, len(content), HASH_BYTES)
        ]
        same = replace(other, images=about.images, files_sha256=about.files_sha256) == about
        if same and folder != home and digest_of(files) == other.files_sha256:
            yield folder, files


def _sound(folder: Path, row_bytes: int, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Those of some rows of a set that fit their hashes, and their pixels."""
    with ExitStack() as stack:
        try:
            pixels, hashes = (
                stack.enter_context((folder / name).open("rb")).fileno()
                for name in (PIXELS, HASHES)
            )
        except OSError:  # it has just been removed
            return
        for row in rows:
            content = sound_row(pixels, hashes, row_bytes, row)
            if content is not None:
                yield row, content
