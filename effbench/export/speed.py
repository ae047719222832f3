"""How many images a second an exported model takes, by its own runtime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from effbench import table_files
from effbench.export import formats
from effbench.export.opened import OpenModel
from effbench.hardware import machine
from effbench.tables import Column, Table, markdown

# Characters of a model's name that stand in one line.
ENOUGH = 20


@dataclass(frozen=True)
class BatchSpeed:
    """Images of one batch size.

    Attributes:
        batch: how many at once.
        per_second: images in a second of wall time.
        per_core_second: images in a second of one core, which other programs slow down less.
    """

    batch: int
    per_second: float
    per_core_second: float


@dataclass(frozen=True)
class ModelSpeed:
    """A model's speed.

    Attributes:
        model: name of its file or folder.
        format: a row of `formats.FORMATS`.
        side: height and width of the images.
        paces: one for each batch size.
        runtime: what ran it.
        device: on what.
    """

    model: str
    format: str
    side: int
    paces: tuple[BatchSpeed, ...]
    runtime: str
    device: str


def measure(path: Path, side: int, batches: Sequence[int], seconds: float) -> ModelSpeed:
    """Times a model on random images.

    Args:
        path: what `effbench export` wrote.
        side: height and width of the images; a model with a size of its own takes that.
        batches: numbers of images at once.
        seconds: how long each is timed, the first call left out.

    Raises:
        EffbenchError: there is no such model.
    """
    model = formats.read(path)
    size = model.side or side
    paces = tuple(_pace(model, size, batch, seconds) for batch in batches)
    kind = formats.kind(path)
    return ModelSpeed(path.name, kind, size, paces, model.runtime, machine.cpu_name())


def _pace(model: OpenModel, size: int, batch: int, seconds: float) -> BatchSpeed:
    images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
    model.scores(images)
    count, start, start_cpu = 0, time.perf_counter(), time.process_time()
    while (passed := time.perf_counter() - start) < seconds or not count:
        model.scores(images)
        count += batch
    return BatchSpeed(batch, count / passed, count / max(time.process_time() - start_cpu, 1e-9))


def table(speeds: Sequence[ModelSpeed]) -> Table:
    """Speeds side by side, all of the same batch sizes."""
    batches = [pace.batch for pace in speeds[0].paces]
    columns = (
        *(Column("Model", words=True, enough=ENOUGH), Column("Format", words=True), Column("Side")),
        *(Column(f"By {batch}") for batch in batches),
        *(Column(f"By {batch} per core", rank=1) for batch in batches),
        Column("Runtime", words=True, rank=2),
    )
    rows = tuple(
        (
            *(speed.model, speed.format, str(speed.side)),
            *(f"{pace.per_second:.1f}" for pace in speed.paces),
            *(f"{pace.per_core_second:.1f}" for pace in speed.paces),
            speed.runtime,
        )
        for speed in speeds
    )
    sizes = " and ".join(map(str, batches))
    caption = f"Images a second, by {sizes} at once; likewise in a second of one core"
    return Table(f"{caption}; {speeds[0].device}", columns, rows)


def save(speeds: Sequence[ModelSpeed], path: Path) -> None:
    """Writes the table as Markdown, and every figure as JSON beside it.

    Raises:
        DiskError: they cannot be written.
    """
    shown = table(speeds)
    text = f"{markdown(shown)}\n\n{shown.caption}"
    table_files.save(path, text, [asdict(speed) for speed in speeds])
