"""The record of what an exported model gets right."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from effbench.errors import DataError
from effbench.files import write_atomically

# What the name of a record adds to its model's.
EVALUATED = ".evaluation.json"


@dataclass(frozen=True)
class Disagreement:
    """An image in which a model sees another class than its run did.

    Attributes:
        image: its position in the split.
        label: the true class.
        by_run: the class that the run sees.
        run_probability: of that class, by the run.
        by_model: the class that the model sees.
        model_probability: of that class, by the model.
    """

    image: int
    label: str
    by_run: str
    run_probability: float
    by_model: str
    model_probability: float


@dataclass(frozen=True)
class AgainstRun:
    """How a model differs from the predictions that its run has kept, on the same images.

    Attributes:
        key: of the run.
        correct: images that the run gets right.
        largest_difference: between two probabilities; those of a run are kept in 11 bits.
        only_run: images that only the run gets right.
        only_model: images that only the model gets right.
        p: McNemar's exact test of these two.
        disagree: how many images are of different classes.
        disagreements: the first of them.
    """

    key: str
    correct: int
    largest_difference: float
    only_run: int
    only_model: int
    p: float
    disagree: int
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True)
class Evaluation:
    """What a model came to.

    Attributes:
        model: name of its file or folder.
        format: a row of `formats.FORMATS`.
        quantize: the row of `quantization.PRECISIONS` in which it keeps its weights; "" in records
            of earlier versions where that was not known.
        sha256: of all its files.
        size: bytes.
        data: name of the dataset.
        data_sha256: its hash.
        split: which images.
        correct: of which it got so many right.
        top5_correct: whose class is among its first five.
        total: how many there are.
        low: the 95 % interval of the share of `correct` (Wilson), 0 to 1.
        high: likewise.
        loss: mean cross-entropy, nats.
        images_per_second: without decoding, in batches of images of one shape.
        runtime: what ran it.
        device: on what.
        against: how it differs from its run; None where no run was named.
        notes: what was said as it was written.
    """

    model: str
    format: str
    quantize: str
    sha256: str
    size: int
    data: str
    data_sha256: str
    split: str
    correct: int
    top5_correct: int
    total: int
    low: float
    high: float
    loss: float
    images_per_second: float
    runtime: str
    device: str
    against: AgainstRun | None = None
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """From 0 to 1."""
        return self.correct / self.total

    @property
    def gained(self) -> float:
        """What the model gets right more often than its run, -1 to 1; 0 where none was named."""
        return (self.correct - self.against.correct) / self.total if self.against else 0.0

    def text(self) -> str:
        """It as JSON, of which `load` makes the same again."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all.

        Raises:
            DiskError: it cannot be written.
        """
        write_atomically(path, self.text().encode())


def load(path: Path) -> Evaluation:
    """What `Evaluation.save` wrote.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return TypeAdapter(Evaluation).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = str(error).splitlines()[0]
        raise DataError("no record of an evaluation", f"{path}: {problem}", "evaluate again") from (
            error
        )


def known(path: Path, sha256: str) -> Evaluation | None:
    """The record that stands beside a model, if it is of these very bytes."""
    try:
        record = load(path.with_name(path.name + EVALUATED))
    except DataError:
        return None
    return record if record.sha256 == sha256 else None


def fingerprint(path: Path) -> tuple[str, int]:
    """The sha256 of a file, or of all files of a folder with their names; and their bytes."""
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest(), path.stat().st_size
    digest, size = hashlib.sha256(), 0
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        content, length = fingerprint(file)
        digest.update(f"{file.relative_to(path)} {content}\n".encode())
        size += length
    return digest.hexdigest(), size
