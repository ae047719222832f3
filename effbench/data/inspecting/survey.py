"""What the files of a listing are: each is decoded once, and only looked up after that.

What is known of a file holds while its size and its time of change stay the same. It is written
down as it comes, so a survey that is killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from effbench import cache, files, locks
from effbench.data.inspecting.listing import ListedImage, Listing
from effbench.data.pixels import decoding_pool
from effbench.data.pixels.decoding import DECODER, ENDINGS
from effbench.data.pixels.decoding_tasks import Look, LookTask
from effbench.files import writing
from effbench.progress import Report, Step


@dataclass(frozen=True)
class Sighting:
    """What a file was when it was looked at.

    Attributes:
        name: its path from the root.
        size: bytes.
        changed: its time of change, in nanoseconds.
        look: what was seen.
    """

    name: str
    size: int
    changed: int
    look: Look


@dataclass(frozen=True)
class SurveyedImage:
    """A file of a listing, and what it is."""

    listed: ListedImage
    look: Look


@dataclass(frozen=True)
class Survey:
    """All files of a listing.

    Attributes:
        listing: the listing.
        images: those that can be read, sorted by name.
        unreadable: those that were meant to be images and cannot be read.
        no_images: names of the files that were not.
    """

    listing: Listing
    images: tuple[SurveyedImage, ...]
    unreadable: tuple[SurveyedImage, ...]
    no_images: tuple[str, ...]


_SIGHTING = TypeAdapter(Sighting)


def survey(listing: Listing, report: Report) -> Survey:
    """Looks at every file of a listing.

    A file that cannot be read was meant to be an image if its name ends like one, or if the source
    names each file.

    Args:
        listing: the files.
        report: told of the progress, in images.

    Raises:
        DiskError: the cache cannot be written.
        DataError: decoding ended in a way that is no file's fault.
    """
    looks = _looks(listing, report)
    rows = [SurveyedImage(image, looks[image.name]) for image in listing.images]
    bad = [row for row in rows if row.look.problem]
    meant = [row for row in bad if listing.certain or named_like_an_image(row.listed.name)]
    strange = {row.listed.name for row in bad} - {row.listed.name for row in meant}
    return Survey(
        listing,
        tuple(row for row in rows if not row.look.problem),
        tuple(meant),
        tuple(sorted(strange)),
    )


def named_like_an_image(name: str) -> bool:
    """Whether a file of this name was meant to be an image."""
    return PurePosixPath(name).suffix.lower() in ENDINGS


def _looks(listing: Listing, report: Report) -> dict[str, Look]:
    """What each file is, by name."""
    root = listing.root.resolve()
    digest = hashlib.sha256(f"{root}\0{DECODER}".encode()).hexdigest()[:16]
    path = cache.surveys() / f"{digest}.jsonl"
    with locks.held(path.with_suffix(".lock"), report, "another process looks at these images"):
        known = _read(path)
        now = {image.name: _status(root / image.name) for image in listing.images}
        same = {
            name: sighting
            for name, sighting in known.items()
            if now.get(name) == (sighting.size, sighting.changed)
        }
        new = [name for name in now if name not in same]
        for sighting in _seen(root, new, now, path, report):
            same[sighting.name] = sighting
        if new:
            # Without what was known of files that are gone or have changed.
            files.write_atomically(path, _lines(same[name] for name in now))
    return {name: same[name].look for name in now}


def _seen(
    root: Path,
    names: Sequence[str],
    now: dict[str, tuple[int, int]],
    path: Path,
    report: Report,
) -> Iterator[Sighting]:
    """Looks at files, and appends what they are to a file."""
    if not names:
        return
    batches = decoding_pool.batches(names)
    tasks = [LookTask(tuple(str(root / name) for name in batch)) for batch in batches]
    count = 0
    report(Step("look", 0, len(names), "images"))
    with writing(path.parent), path.open("ab") as file:
        for position, looks in decoding_pool.done(tasks, Look):
            batch = [
                Sighting(name, *now[name], look)
                for name, look in zip(batches[position], looks, strict=True)
            ]
            file.write(_lines(batch))
            file.flush()
            yield from batch
            count += len(batch)
            report(Step("look", count, len(names), "images"))


def _status(path: Path) -> tuple[int, int]:
    """Size and time of change of a file; -1 and -1 where it cannot be asked, or not be read.

    The time is the file system's own: that of modification can be set, and is by rsync and tar.
    """
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return (status.st_size, status.st_ctime_ns) if os.access(path, os.R_OK) else (-1, -1)


def _lines(sightings: Iterable[Sighting]) -> bytes:
    # A file that could not even be opened is looked at each time: its rights leave no trace.
    return b"".join(
        _SIGHTING.dump_json(sighting) + b"\n" for sighting in sightings if sighting.look.sha256
    )


def _read(path: Path) -> dict[str, Sighting]:
    """What is known of files, by name; a line that is cut off is none."""
    known: dict[str, Sighting] = {}
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                sighting = _SIGHTING.validate_json(line)
            except ValidationError:
                continue
            known[sighting.name] = sighting
    return known
