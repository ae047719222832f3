"""How many images a second an exported model takes, by its own runtime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from effbench.export import formats
from effbench.hardware import machine
from effbench.tables import Column, Table


def table(models: Sequence[Path], side: int, batches: Sequence[int], seconds: float) -> Table:
    """The speed of models on random images of so many pixels a side, in batches.

    Args:
        models: what `effbench export` wrote.
        side: height and width of the images; a model with a size of its own takes that.
        batches: numbers of images at once.
        seconds: how long each is timed, the first call left out.

    Raises:
        EffbenchError: there is no such model.
    """
    rows = tuple(_row(path, side, batches, seconds) for path in models)
    speeds = (Column(f"Images/s in batches of {batch}") for batch in batches)
    columns = (Column("Model", words=True), Column("Format", words=True), Column("Side"), *speeds)
    return Table(machine.cpu_name(), (*columns, Column("Runtime", words=True)), rows)


def _row(path: Path, side: int, batches: Sequence[int], seconds: float) -> tuple[str, ...]:
    model = formats.read(path)
    size = model.side or side
    random = np.random.default_rng(0)
    speeds = []
    for batch in batches:
        images = random.integers(0, 256, (batch, size, size, 3), np.uint8)
        model.scores(images)
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds or not count:
            model.scores(images)
            count += batch
        speeds.append(f"{count / passed:.1f}")
    return (path.name, formats.kind(path), str(size), *speeds, model.runtime)
