"""A plan for a reader: a table for each recipe and slice, the sums, and what a plan is not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from effbench import provenance
from effbench.data import datasets
from effbench.data.inspecting.listing import SPLITS
from effbench.data.outline import PUBLISHED, Outline
from effbench.hardware.tpu_slices import Slice
from effbench.tables import Column, Table
from effbench.tables import markdown as as_markdown
from effbench.tpu_plan.compile_cache import PACKAGES
from effbench.tpu_plan.estimate import gib
from effbench.tpu_plan.planner import PlannedRun

ABOUT = "Compiled programs and an estimate, not a measurement: no TPU ran any of this."

HOST = "A run without epochs is features alone on the TPU; the host solves its regression."

LARGEST = "Largest: in steps of 8, from 128 on of 32, from 512 on of 128, up to all images."

_BY_NAME = (
    "counted and split by the names of the files, without a look into them: where photos are equal "
    "or cannot be read, a sweep may have a few more or less in a split"
)
_PACE = "Images/s"
_FEEDING = (
    f"{_PACE}: what the network takes on the whole slice. The host reads them from its cache of "
    "pixels. Where it is slower, so is the run: neither that nor the decoding of photos before it "
    "is in the plan."
)
_AUGMENTING = (
    "Every replica is sent the whole batch, and augments all of it, which is in Step: cheap at 32 "
    "pixels, and not at a photo's."
)

_WORDS = ("Model", "From")
# Less than this of a minute, or of a dollar, is nobody's concern.
_LEAST = 0.01
# The columns that a narrow terminal leaves out; the highest goes first.
_RANKS = {"MB": 5, "GFLOP": 4, "Compiles": 3, "From": 2, "Step": 1}


@dataclass(frozen=True)
class PlanTable:
    """The runs of one recipe on one slice.

    Attributes:
        title: the recipe and the slice.
        table: a row for each run.
        lines: what does not fit and why, and what the whole sweep takes.
    """

    title: str
    table: Table
    lines: tuple[str, ...]


def tables(rows: Sequence[PlannedRun], price: float | None) -> list[PlanTable]:
    """One table for each recipe and slice, in the order of the rows.

    Args:
        rows: the runs of the plan.
        price: dollars an hour of a whole slice, or None.
    """
    groups = groupby(rows, key=lambda row: (row.spec.recipe.name, row.tpu))
    return [_table(tuple(group), price) for _, group in groups]


def _table(rows: tuple[PlannedRun, ...], price: float | None) -> PlanTable:
    tpu = rows[0].tpu
    optional = {
        "Cost": price is not None,
        "Largest": any(row.largest is not None for row in rows),
        _PACE: rows[0].data.side is None,
    }
    cells = [
        {title: cell for title, cell in _cells(row, price).items() if optional.get(title, True)}
        for row in rows
    ]
    title = (
        f"{rows[0].spec.recipe.name} on {tpu.name}: {tpu.replicas} replicas, each a "
        f"{_replica(tpu)} with {tpu.generation.hbm_gib} GiB"
    )
    lines = [f"{row.spec.variant}: {row.problem.rstrip('.')}." for row in rows if row.problem]
    columns = (Column(name, name in _WORDS, _RANKS.get(name, 0)) for name in cells[0])
    table = Table("", tuple(columns), tuple(tuple(row.values()) for row in cells))
    return PlanTable(title, table, (*lines, *_sums(rows, price)))


def _cells(row: PlannedRun, price: float | None) -> dict[str, str]:
    """The cells of all columns that there may be, by title; "-" for what is not known."""
    spec, main = row.spec, row.network
    compiles = bool(row.programs) and all(program.compiles for program in row.programs)
    cells = {
        "Model": spec.variant,
        "Size": str(spec.image_size),
        "Batch": f"{main.images:,}" if main else "-",
        "Compiles": "yes" if compiles else "no",
        "HBM": gib(row.peak) if compiles or row.excess else "-",
        "Fits": "no" if row.excess else "yes" if compiles else "-",
        **dict.fromkeys(("GFLOP", "MB", "Step", "From", _PACE, "Run", "Cost"), "-"),
        "Largest": "-" if row.largest is None else f"{row.largest:,}",
    }
    if main and main.fits:
        cells["GFLOP"] = f"{main.flops / main.images / 1e9:.3f}"
        cells["MB"] = f"{main.bytes_accessed / main.images / 1e6:.1f}"
        cells["Step"] = f"{main.seconds * 1e3:.2f}"
        cells["From"] = main.source
        cells[_PACE] = f"{row.images_per_second:,.0f}"
    if row.seconds:
        cells["Run"] = _minutes(row.seconds)
        cells["Cost"] = _cost(row.seconds, price)
    return cells


def _sums(rows: tuple[PlannedRun, ...], price: float | None) -> Iterator[str]:
    done = [row for row in rows if row.seconds]
    seconds = sum(row.seconds for row in done)
    of = "" if len(done) == len(rows) else f", {len(done)} of {len(rows)} runs"
    cost = "" if price is None else f", {_cost(seconds, price)} at ${price:g} an hour"
    duration = (
        f"{_minutes(seconds)} minutes of the TPU's own time, without start-up and compilation"
    )
    yield f"The whole sweep{of}: {duration}{cost}."


def _minutes(seconds: float) -> str:
    return _figure(seconds / 60)


def _cost(seconds: float, price: float | None) -> str:
    dollars = _figure(seconds / 3600 * (price or 0))
    return f"<${_LEAST}" if dollars == f"<{_LEAST}" else f"${dollars}"


def _figure(value: float) -> str:
    """Three digits, never as a power of ten."""
    if 0 < value < _LEAST:
        return f"<{_LEAST}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _replica(tpu: Slice) -> str:
    return "chip" if tpu.replicas == tpu.chips else "core"


def notes(rows: Sequence[PlannedRun]) -> list[str]:
    """What a reader has to know."""
    versions = ", ".join(f"{name} {text}" for name, text in _versions().items())
    spec, data = rows[0].spec, rows[0].data
    photos, frozen = data.side is None, [row.spec.recipe.way.frozen_backbone for row in rows]
    searched = any(row.largest is not None for row in rows)
    peaks = "; ".join(
        f"{tpu.name} {tpu.flops_per_second / 1e12:g} TFLOP/s and "
        f"{tpu.bytes_per_second / 1e9:g} GB/s"
        for tpu in {row.tpu.name: row.tpu for row in rows}.values()
    )
    return [
        _about(spec.data, data),
        f"Compiled by {versions}, which is newer than the compiler of TensorFlow's TPU build, for "
        "all replicas, which add up in it.",
        "Batch (images), GFLOP and MB (of HBM traffic) of an image, and Step (milliseconds a call) "
        "are those of a replica's program in which the network runs. A multiply-add is two FLOP "
        "here, and one in reports and papers.",
        "HBM: GiB that the largest program takes, with what is held meanwhile: temporaries, "
        "arguments, outputs that are not aliased, and code.",
        "From: XLA is the compiler's own estimate; FLOPs or bytes is a roofline, the program's "
        "count over the published peak, where XLA has no estimate or one that no chip can reach.",
        f"Run: minutes of one seed: features of {sum(data.counts):,} images and every step of the "
        "head, or "
        "every step of the whole network, and every evaluation. Not in it: start-up, compilation, "
        "downloads, host work and the launching of each call, all-reduce.",
        *([_FEEDING] if photos else []),
        *([_AUGMENTING] if photos and not all(frozen) else []),
        f"Published peaks of a replica: {peaks}.",
        *([LARGEST] * searched),
        *([HOST] * any(not row.spec.recipe.epochs for row in rows)),
    ]


def _about(name: str, data: Outline) -> str:
    """How much there is of the data, and how that is known."""
    counts = dict(zip(SPLITS, data.counts, strict=False))
    images = ", ".join(f"{counts.get(split, 0):,} {split}" for split in SPLITS)
    published = name in datasets.DATASETS or PUBLISHED.get(name) == data
    source = "as published" if published else _BY_NAME
    return f"Data: {name}, {data.classes:,} classes; images: {images}; {source}."


def _versions() -> dict[str, str]:
    return {name: provenance.version(name) for name in PACKAGES}


def markdown(rows: Sequence[PlannedRun], price: float | None) -> str:
    """The whole plan as Markdown, ending with a newline."""
    names = dict.fromkeys(row.spec.recipe.name for row in rows)
    parts = [f"## Plan of {', '.join(names)}", ABOUT]
    for part in tables(rows, price):
        parts += [f"### {part.title}", as_markdown(part.table), *part.lines]
    parts.append("\n".join(f"- {note}" for note in notes(rows)))
    return "\n\n".join(parts) + "\n"


def as_json(rows: Sequence[PlannedRun], price: float | None) -> str:
    """The whole plan as JSON, every program included, ending with a newline."""
    content = {
        "what": ABOUT,
        "versions": _versions(),
        "notes": notes(rows),
        "runs": [_plain(row, price) for row in rows],
    }
    return json.dumps(content, indent=1) + "\n"


def _plain(row: PlannedRun, price: float | None) -> dict[str, object]:
    priced = price is not None and row.seconds > 0
    return {
        "variant": row.spec.variant,
        "image_size": row.spec.image_size,
        "data": row.spec.data,
        "images": dict(zip(SPLITS, row.data.counts, strict=False)),
        "classes": row.data.classes,
        "recipe": row.spec.recipe.name,
        "precision": row.spec.precision,
        "batch_size": row.spec.recipe.batch_size,
        "tpu": row.tpu.name,
        "replicas": row.tpu.replicas,
        "hbm_bytes": row.tpu.hbm,
        "peak_bytes": row.peak,
        "excess_bytes": row.excess,
        "problem": row.problem,
        "largest_batch_per_replica": row.largest,
        "images_per_second": row.images_per_second or None,
        "seconds": row.seconds or None,
        "dollars": row.seconds / 3600 * (price or 0) if priced else None,
        "programs": [asdict(program) for program in row.programs],
    }
