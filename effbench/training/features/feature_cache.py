"""Features of a frozen backbone, computed once for each image and kept in chunks.

A chunk is named by a hash of its set, place and content, and appears by rename, so an interrupted
set goes on where it stopped, and a damaged chunk is found and computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from effbench import files, locks
from effbench.files import writing
from effbench.progress import Report, Step

if TYPE_CHECKING:
    from effbench.engines.engine import Program

CHUNK = 256

# Pixels that the network sees, of all images, from which `auto` leaves TensorFlow on a CPU: what
# OpenVINO takes longer to begin, its comparison with TensorFlow included (1.6 s for B0, 7 for S, 15
# for M, at their own sizes on two cores), it has gained after 80 to 130 million.
MANY_PIXELS = 100_000_000


def few_pixels(images: int, image_size: int) -> bool:
    """Whether so many images of a size are too few for another engine than TensorFlow to pay."""
    return images * image_size**2 < MANY_PIXELS


# The version of what effbench itself does to an image on its way to a feature: resizing, rescaling,
# pooling. `test_feature_version` tells when to raise it.
VERSION = 1


@dataclass(frozen=True)
class FeatureSet:
    """All that the features of one image depend on. Same key, same features.

    Attributes:
        variant: name of the network.
        weights: SHA-256 of the file, or what random weights come from.
        image_size: pixels.
        preprocessing: a row of `preprocessing.PREPROCESSING`.
        precision: a Keras policy.
        device: kind of device; the kernels of each kind round in their own way.
        software: versions of TensorFlow and of the network's package.
        images_sha256: SHA-256 of the images themselves, in their order.
        version: version of effbench's own part, see `VERSION`.
        engine: what ran the network, and its version; "" for TensorFlow.
        before: the stage whose input is kept instead; "" for features of the whole network.
        batch: images of a call where another size than the usual was measured to be faster, as
            kernels may round in another way then; else 0.
    """

    variant: str
    weights: str
    image_size: int
    preprocessing: str
    precision: str
    device: str
    software: str
    images_sha256: str
    version: int = 1
    engine: str = ""
    before: str = ""
    batch: int = 0

    @property
    def key(self) -> str:
        """Readable name and short hash of every field; also the name of its folder."""
        content = asdict(self)
        if self.version == 1:  # keys are older than versions
            del content["version"]
        for later in ("engine", "before", "batch"):  # and than other engines, stages, batches
            if not content[later]:
                del content[later]
        canonical = json.dumps(content, sort_keys=True)
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
        return f"{self.variant}-{self.image_size}-{self.preprocessing}-{self.precision}-{digest}"


class Sliced(Protocol):
    """Images, or what gives some of them when it is asked: uint8 [n, h, w, 3]."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, chosen: slice) -> np.ndarray:
        """Those of a slice."""


@dataclass(frozen=True)
class Features:
    """float32 [n, width], and how many rows of it came from the cache."""

    values: np.ndarray
    cached: int


@dataclass(frozen=True)
class Chunk:
    """The rows of a chunk; whether they came from the cache, and where they are kept there."""

    rows: np.ndarray
    cached: bool
    path: Path


def batch_size(image_size: int, device: str, replicas: int = 1) -> int:
    """Images a forward pass of one replica takes at once; for one alone it divides `CHUNK`.

    On a CPU a larger one is no faster (measured for B0: 16 to 128 within 5 %) and only takes
    memory, which grows with the area of an image.
    """
    base = 32 if device == "cpu" else 128
    fits = base if image_size <= 260 else base // 2 if image_size <= 384 else base // 4
    return min(fits, math.ceil(CHUNK / replicas))


def extract(
    program: Program,
    batch: int,
    sets: Sequence[tuple[FeatureSet, Sliced]],
    folder: Path,
    report: Report,
) -> Features:
    """Features of all images, set after set, from the cache in `folder` where it has them.

    Args:
        program: from uint8 [batch, h, w, 3] to float32 [batch, width].
        batch: images of a call; best if it divides `CHUNK`, as the last one of a chunk is padded.
        sets: what names a set, and its images: uint8 [n, h, w, 3]; read a batch at a time.
        folder: the folder of all sets.
        report: told of every batch.

    Raises:
        DiskError: a chunk cannot be kept.
    """
    chunks = []
    done = cached = 0
    total = sum(len(images) for _, images in sets)

    def told(step: Step) -> None:
        within = step.phase == "features"
        report(replace(step, done=before + step.done, total=total) if within else step)

    for about, images in sets:
        before = done
        for chunk in chunked(program, batch, images, folder, about, told):
            chunks.append(chunk.rows)
            done += len(chunk.rows)
            cached += len(chunk.rows) * chunk.cached
    report(Step("features", total, total, "images", f"{cached:,} from the cache"))
    return Features(np.concatenate(chunks), cached)


def chunked(
    program: Program,
    batch: int,
    images: Sliced,
    folder: Path,
    about: FeatureSet,
    report: Report,
) -> Iterator[Chunk]:
    """Those of one set, chunk by chunk in their order."""
    home = folder / about.key
    with locks.held(home / ".lock", report, "another process computes these features"):
        about_path = home / "about.json"
        if not about_path.exists():
            files.write_atomically(about_path, json.dumps(asdict(about), indent=1).encode())
        for number, start in enumerate(range(0, len(images), CHUNK)):
            end = min(start + CHUNK, len(images))
            chunk = _read(home, number)
            if chunk is None:
                parts = []
                for first in range(start, end, batch):
                    report(Step("features", first, len(images), "images"))
                    part = images[first : min(first + batch, end)]
                    parts.append(rows(program, part, batch))
                chunk = _write(home, number, np.concatenate(parts))
            yield chunk


def begun(folder: Path, about: FeatureSet) -> bool:
    """Whether some features of a set are in the cache."""
    return any((folder / about.key).glob("*.npy"))


def proved(folder: Path, about: FeatureSet, compare: Callable[[], float]) -> float:
    """How far the features of a set are from the reference: compared once, and kept with them.

    Raises:
        DiskError: it cannot be kept.
    """
    path = folder / about.key / "difference.json"
    with contextlib.suppress(FileNotFoundError, ValueError):  # not there, or damaged
        return float(json.loads(path.read_bytes()))
    difference = compare()
    files.write_atomically(path, json.dumps(difference).encode())
    return difference


def rows(program: Program, images: np.ndarray, batch: int) -> np.ndarray:
    """The features of some images, one or more, in calls of `batch`."""
    padded = np.zeros((-(-len(images) // batch) * batch, *images.shape[1:]), np.uint8)
    padded[: len(images)] = images
    parts = [program(part)[0] for part in padded.reshape(-1, batch, *images.shape[1:])]
    return np.concatenate(parts)[: len(images)]


def _read(home: Path, number: int) -> Chunk | None:
    """A chunk, if it is there and whole; other files in its place are removed."""
    for path in home.glob(f"{number:05d}-*.npy"):
        content = path.read_bytes()
        if path.name == _name(home, number, content):
            return Chunk(np.load(io.BytesIO(content), allow_pickle=False), True, path)
        with writing(home):
            path.unlink(missing_ok=True)
    return None


def _write(home: Path, number: int, rows: np.ndarray) -> Chunk:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    content = buffer.getvalue()
    path = home / _name(home, number, content)
    files.write_atomically(path, content)
    return Chunk(rows, False, path)


def _name(home: Path, number: int, content: bytes) -> str:
    """A file name that fits one content, in one place, of one set."""
    digest = hashlib.sha256(f"{home.name}/{number}/".encode() + content).hexdigest()
    return f"{number:05d}-{digest[:16]}.npy"
