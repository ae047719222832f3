"""What a release scored on ImageNet: one file each, results/imagenet/<key>.json."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from effbench.config.run_spec import WeightsId, digest
from effbench.config.variants import VARIANTS
from effbench.files import write_atomically
from effbench.imagenet import protocols, synsets
from effbench.imagenet.validation_sets import IMAGENET
from effbench.records.record import Provenance
from effbench.records.scores import Scores

SCHEMA = 1
FOLDER = "imagenet"


@dataclass(frozen=True)
class ScoringSpec:
    """All that an ImageNet accuracy depends on. Same key, same figure.

    Attributes:
        variant: name of a row of `variants.VARIANTS`.
        weights: the network's, classifier included.
        image_size: side of the square input, pixels.
        precision: a row of `PRECISIONS`.
        protocol: name of a row of `protocols.PROTOCOLS`.
        data: as in a `ValidationSet`.
        data_sha256: of the names and labels of its images.
        limit: how many of these were scored, or None for all.
        classes: how many could be answered.
    """

    variant: str
    weights: WeightsId
    image_size: int
    precision: str
    protocol: str
    data: str
    data_sha256: str
    limit: int | None
    classes: int

    @property
    def key(self) -> str:
        """A readable name and a hash of everything."""
        limit = f"-limit{self.limit}" if self.limit is not None else ""
        named = f"{self.variant}-{self.weights.name}-{self.image_size}-{self.protocol}-{self.data}"
        return f"{named}{limit}-{digest(asdict(self))[:12]}"


@dataclass(frozen=True)
class ImagenetRecord:
    """How well a network did.

    Attributes:
        schema: `SCHEMA` when it was written.
        spec: what was scored.
        own_protocol: whether it is the one by which this release's figure was published.
        whole: how many images there are where none is left out.
        scores: exact counts, and the mean cross-entropy over the classes that could be answered.
        doubt: the likely cause, where it is near chance though it was trained, or its answers are
            right by another reading of the labels; else "".
        seconds: from the first image to the last.
        provenance: how it was made; images are counted as features computed.
        hits: which images were right, in their order, as `packed` has it; "" in older records.
    """

    schema: int
    spec: ScoringSpec
    own_protocol: bool
    whole: int
    scores: Scores
    doubt: str
    seconds: float
    provenance: Provenance
    hits: str = ""

    @property
    def right(self) -> np.ndarray | None:
        """Which images were right, bool [n], in their order; None where no one kept that."""
        if not self.hits:
            return None
        bits = np.frombuffer(base64.b64decode(self.hits), np.uint8)
        return np.unpackbits(bits, count=self.scores.total).astype(bool)

    @property
    def marks(self) -> dict[str, str]:
        """What keeps it from being what was published, and how much of it there is, or ""."""
        details = {row.name: row.detail(self) for row in SCORING_CAVEATS}
        return {name: detail for name, detail in details.items() if detail is not None}


def packed(right: np.ndarray) -> str:
    """Which images were right, bool [n], as text: a bit of each, in base64."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


@dataclass(frozen=True)
class ScoringCaveat:
    """One reason why a figure is not comparable with the published one.

    Attributes:
        name: the mark that tables show.
        meaning: what a reader has to know, without a full stop.
        detail: how much of it a record has, "" where there is no more to say, or None.
    """

    name: str
    meaning: str
    detail: Callable[[ImagenetRecord], str | None]


def _limited(record: ImagenetRecord) -> str | None:
    scored = record.scores.total
    return f"{scored:,} of {record.whole:,}" if scored < record.whole else None


def _fewer(record: ImagenetRecord) -> str | None:
    classes = record.spec.classes
    return f"{classes:,} of {synsets.COUNT:,}" if classes < synsets.COUNT else None


def _another_protocol(record: ImagenetRecord) -> str | None:
    spec = record.spec
    figure = protocols.published(spec.variant, spec.weights.name)
    if figure is None or record.own_protocol:
        return None
    return f"{spec.protocol}, not {figure.protocol}"


def _another_size(record: ImagenetRecord) -> str | None:
    spec = record.spec
    figure = protocols.published(spec.variant, spec.weights.name)
    size = figure.image_size if figure else VARIANTS[spec.variant].image_size
    return f"{spec.image_size}, not {size} pixels" if spec.image_size != size else None


SCORING_CAVEATS = (
    ScoringCaveat(
        "random weights",
        "nothing about the network follows from it",
        lambda record: "" if record.spec.weights.random else None,
    ),
    ScoringCaveat(
        "another set",
        "these are not ImageNet's validation images, of which figures were published",
        lambda record: record.spec.data if record.spec.data != IMAGENET else None,
    ),
    ScoringCaveat(
        "fewer classes",
        "the answer was sought among these alone, which is easier",
        _fewer,
    ),
    ScoringCaveat("limited", "a part of the images was scored", _limited),
    ScoringCaveat(
        "another protocol",
        "the figure of the release was measured by the other one",
        _another_protocol,
    ),
    ScoringCaveat(
        "another size",
        "the figure was published for the other one: the network's own, but for T",
        _another_size,
    ),
    ScoringCaveat(
        "not a release",
        "loaded from a file that is not, byte for byte, a published release",
        lambda record: None if record.spec.weights.released or record.spec.weights.random else "",
    ),
    ScoringCaveat(
        "precision",
        "the network did not compute in float32",
        lambda record: record.spec.precision if record.spec.precision != "float32" else None,
    ),
    ScoringCaveat(
        "near chance",
        "hardly better than guessing, or far better by other labels, so something is wrong",
        lambda record: record.doubt or None,
    ),
)


_ADAPTER = TypeAdapter(ImagenetRecord)


def path(results: Path, spec: ScoringSpec) -> Path:
    """Where a record lies."""
    return results / FOLDER / f"{spec.key}.json"


def save(results: Path, record: ImagenetRecord) -> None:
    """Writes a record with its checksum.

    Raises:
        DiskError: it cannot be written.
    """
    content = asdict(record)
    text = json.dumps(content | {"sha256": digest(content)}, indent=1) + "\n"
    write_atomically(path(results, record.spec), text.encode())


def read(file: Path) -> ImagenetRecord:
    """The record in a file.

    Raises:
        ValueError: one line that says why it is none, or was changed.
    """
    try:
        raw = json.loads(file.read_bytes())
        content = {name: value for name, value in raw.items() if name != "sha256"}
        record = _ADAPTER.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"no record: {error}") from error
    if raw.get("sha256") != digest(content):
        raise ValueError("changed since it was written: its sha256 is another")
    return record


def join(sources: Sequence[Path], results: Path) -> int:
    """Copies the records that `results` has not; says how many.

    Raises:
        DiskError: one cannot be written.
    """
    new = 0
    for source in sources:
        for record in load(source)[0]:
            if not path(results, record.spec).exists():
                save(results, record)
                new += 1
    return new


def files(results: Path) -> list[Path]:
    """Where the records of a results directory lie, in the order of their keys."""
    return sorted((results / FOLDER).glob("*.json"))


def load(results: Path) -> tuple[list[ImagenetRecord], list[str]]:
    """All records of a results directory by their keys, and what is wrong with the others."""
    records, problems = [], []
    for file in files(results):
        try:
            records.append(read(file))
        except ValueError as error:
            problems.append(f"{file}: {error}")
    return records, problems
