"""What a machine measured of a folder of programs, as a table and as a record."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from effbench import table_files
from effbench.errors import DataError
from effbench.tables import Column, Table
from effbench.tables import markdown as as_markdown

OURS = "effbench"


@dataclass(frozen=True)
class MeasuredProgram:
    """One program by one engine.

    Attributes:
        name: the program.
        variant: the network.
        work: "features" or "step".
        image_size: pixels that the network sees.
        precision: a row of `PRECISIONS`.
        batch: images of a call.
        engine: what ran it: "effbench", or a peer that did the same work.
        problem: why it did not run, or "".
        images_per_second: the median of five timings.
        slowest: the lowest of them.
        fastest: the highest.
        calls: how many calls each timing took.
        compile_seconds: until it could run; of a peer, its first call as well.
        finite: whether its results are numbers.
        difference: how far its results are from TensorFlow's on the CPU that wrote it, in float32,
            relative to their norm; None where its arguments were drawn.
        working_memory: bytes of the device beside arguments and results; of a peer, see `memory`.
        memory: most bytes that a peer held.
    """

    name: str
    variant: str
    work: str
    image_size: int
    precision: str
    batch: int
    engine: str
    problem: str = ""
    images_per_second: float = 0.0
    slowest: float = 0.0
    fastest: float = 0.0
    calls: int = 0
    compile_seconds: float = 0.0
    finite: bool = True
    difference: float | None = None
    working_memory: int = 0
    memory: int = 0


@dataclass(frozen=True)
class Measurement:
    """All that one machine measured.

    Attributes:
        about: the machine and its software, by what they are.
        measured: a row for each program and engine.
    """

    about: dict[str, str | int | float]
    measured: tuple[MeasuredProgram, ...]


_MEASUREMENT = TypeAdapter(Measurement)


def read(paths: Sequence[Path]) -> Measurement:
    """What one machine wrote, in one file or several.

    Raises:
        DataError: a file is none of its kind, or of another device than the first.
    """
    parts = [_read(path) for path in paths]
    about: dict[str, str | int | float] = {}
    for path, part in zip(paths, parts, strict=True):
        device = part.about.get("device")
        if device != parts[0].about.get("device"):
            received = f"{path}: {device}, not {parts[0].about.get('device')}"
            raise DataError("a table is of one device", received, "import each device by itself")
        about |= part.about
    return Measurement(about, tuple(row for part in parts for row in part.measured))


def _read(path: Path) -> Measurement:
    hint = "give the measured.json that the runner wrote into the folder of programs"
    try:
        return _MEASUREMENT.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        line = str(error).splitlines()[0]
        raise DataError(f"{path} is no measurement of programs", line, hint) from error


def table(measurement: Measurement) -> Table:
    """A row for each program, and a column for each engine."""
    engines = list(dict.fromkeys(row.engine for row in measurement.measured))
    peers = [engine for engine in engines if engine != OURS]
    cells = []
    for name in dict.fromkeys(row.name for row in measurement.measured):
        by_engine = {row.engine: row for row in measurement.measured if row.name == name}
        about = next(iter(by_engine.values()))
        speeds = [by_engine[peer].images_per_second for peer in peers if peer in by_engine]
        ours = by_engine[OURS].images_per_second if OURS in by_engine else 0.0
        ratio = ours / max(speeds) if ours and any(speeds) else None
        cells.append(
            (
                *(about.work, about.variant, str(about.image_size)),
                *(about.precision, str(about.batch)),
                *(_speed(by_engine.get(engine)) for engine in engines),
                "-" if ratio is None else f"{ratio:.2f}",
            )
        )
    columns = (
        *(Column("Work", words=True), Column("Model", words=True), Column("Size", rank=2)),
        *(Column("Precision", words=True, rank=2), Column("Batch")),
        *(Column(engine, rank=0 if engine == OURS else 1) for engine in engines),
        Column("× best peer"),
    )
    return Table(_caption(measurement), columns, tuple(cells))


def _caption(measurement: Measurement) -> str:
    about = measurement.about
    software = ", ".join(str(about[name]) for name in ("driver", "peer") if name in about)
    drawn = all(row.difference is None for row in measurement.measured)
    weights = "; the weights are random" if drawn else ""
    return f"Images a second on {about.get('device')} ({software}){weights}"


def _speed(row: MeasuredProgram | None) -> str:
    if row is None or not row.images_per_second:
        return "-"
    return f"{row.images_per_second:,.0f}{'' if row.finite else ' (not finite)'}"


def notes(measurement: Measurement) -> list[str]:
    """What went wrong, and how near the results are to TensorFlow's."""
    lines = [
        f"{row.name}, {row.engine}: {row.problem}" for row in measurement.measured if row.problem
    ]
    return lines + [
        f"{row.name}: {row.difference:.2g} from TensorFlow's results, relative"
        for row in measurement.measured
        if row.difference is not None
    ]


def save(measurement: Measurement, results: Path) -> Path:
    """Writes the record, and beside it the table as Markdown; gives the path of the record.

    Raises:
        DiskError: it cannot be written.
    """
    device = re.sub(r"[^a-z0-9]+", "-", str(measurement.about.get("device", "")).lower())
    path = results / f"bench-programs-{device.strip('-')}.json"
    shown = table(measurement)
    lines = [f"{shown.caption}.", "", as_markdown(shown), *(f"\n{x}." for x in notes(measurement))]
    content = json.loads(_MEASUREMENT.dump_json(measurement, exclude_defaults=True))
    table_files.save(path.with_suffix(".md"), "\n".join(lines), content)
    return path
