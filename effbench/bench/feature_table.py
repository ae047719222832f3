"""Shows timed forward passes: a table, what a reader must know, and JSON with every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from statistics import median

from effbench import provenance, table_files
from effbench.bench.feature_case import IMAGE
from effbench.bench.feature_speed import FeatureOptions, FeatureSpeed, best_of_ours, name, ratios
from effbench.config.variants import VARIANTS
from effbench.hardware import machine
from effbench.tables import Column, Table, markdown
from effbench.training.features.feature_cache import batch_size

# Cores that other programs may use before the notes say that the machine was shared.
_SHARED = 0.1


def table(rows: Sequence[FeatureSpeed]) -> Table:
    """A row for each side; the ratio is that of the fastest engine to it."""
    columns = (
        *(Column("Model", words=True), Column("Size", rank=3)),
        *(Column("Precision", words=True, rank=3), Column("Batch", rank=3)),
        *(Column("By", words=True), Column("images/s")),
        *(Column("slowest", rank=2), Column("fastest", rank=2)),
        Column("effbench × as fast"),
        *(Column("first s", rank=1), Column("difference", rank=1), Column("others", rank=4)),
    )
    cells = []
    for network, grouped in groupby(rows, key=_network):
        sides = list(grouped)
        ours = best_of_ours(sides)
        for row in sides:
            case = row.case
            tool = f"effbench: {case.tool}" if case.ours else f"{case.tool} {case.way}".strip()
            figures: tuple[str, ...] = ("-",) * 7
            if row.speeds:
                near = "-" if row.difference is None else f"{row.difference:.1g}"
                figures = (
                    *(f"{speed:.1f}" for speed in (row.speed, min(row.speeds), max(row.speeds))),
                    _ratio(ours, row),
                    *(f"{row.first:.1f}", near, f"{row.others:.1f}"),
                )
            cells.append((*network, str(case.batch), tool, *figures))
    return Table("Features, images a second", columns, tuple(cells))


def batches(rows: Sequence[FeatureSpeed]) -> list[str]:
    """A line for each network, on which of several batches is fastest."""
    lines = []
    for network, grouped in groupby(rows, key=_network):
        best = best_of_ours(list(grouped))
        if best is not None:
            case = best.case
            usual = batch_size(case.image_size, case.device)
            lines.append(
                f"{', '.join(network)}: {best.speed:.1f} images/s in batches of {case.batch}, the "
                f"fastest; a sweep takes {usual}"
            )
    return lines


def lines(
    rows: Sequence[FeatureSpeed],
) -> dict[str, list[tuple[str, str, float, float, float]]]:
    """What a plot of several networks is drawn of, for each precision.

    Of effbench's engines only the fastest of each network is there; it comes first. Of several
    batches only the fastest is there, and networks at another than their native size are not.

    Returns:
        variant, tool, and images a second: the median turn, the slowest and the fastest.
    """
    drawn: dict[str, list[tuple[str, str, float, float, float]]] = {}
    timed = [row for row in rows if row.speeds and _native(row)]
    for (variant, _, precision), grouped in groupby(timed, key=_network):
        tools: dict[str, FeatureSpeed] = {}
        for row in grouped:
            tool = "effbench" if row.case.ours else f"{row.case.tool} {row.case.way}".strip()
            if tool not in tools or row.speed > tools[tool].speed:
                tools[tool] = row
        drawn.setdefault(precision.removeprefix("mixed_"), []).extend(
            (variant, tool, row.speed, min(row.speeds), max(row.speeds))
            for tool, row in sorted(tools.items(), key=lambda item: not item[1].case.ours)
        )
    return drawn


def _native(row: FeatureSpeed) -> bool:
    return row.case.image_size == VARIANTS[row.case.variant].image_size


def _network(row: FeatureSpeed) -> tuple[str, str, str]:
    case = row.case
    return case.variant, str(case.image_size), case.precision


def _ratio(ours: FeatureSpeed | None, row: FeatureSpeed) -> str:
    if ours is None or ours is row:
        return "-"
    values = ratios(ours, row)
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def notes(rows: Sequence[FeatureSpeed], options: FeatureOptions) -> list[str]:
    """What a reader has to know about the figures."""
    commit = provenance.commit()
    python = ", ".join(f"{key} {text}" for key, text in provenance.versions().items())
    versions = {row.version: row.case.tool for row in rows if row.version}
    # Some name themselves.
    tools = (text if tool in text.lower() else f"{tool} {text}" for text, tool in versions.items())
    lines = [
        f"{machine.cpu_name()}; {python}{f'; commit {commit}' if commit else ''}.",
        f"{'; '.join(tools)}.",
        f"Each side is a process of its own, {options.rounds} turns of {options.seconds:g} s each, "
        "there and back again; a speed is the median of its turns, a ratio that of the ratios "
        "within a round, with the lowest and the highest.",
        f"Each call takes uint8 images of {IMAGE}x{IMAGE}, resizes and rescales them, and gives "
        "pooled float32 features. timm and torch have networks of their own of these names, with "
        "random weights; all others have effbench's weights, and `difference` is how far their "
        "features are from TensorFlow's, relative to their norm.",
    ]
    if any(row.others > _SHARED for row in rows):
        lines.append(
            "**Not alone on the machine**: others is how many cores other programs used meanwhile; "
            "ratios hold better than speeds."
        )
    return lines


def problems(rows: Sequence[FeatureSpeed]) -> list[str]:
    """A line for each reason why a tool could not be timed, with the first side that it kept."""
    kept: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.problem:
            # What is not installed is missing to all sides.
            side = row.case.tool if row.absent else name(row.case)
            kept.setdefault((row.case.tool, row.problem), []).append(side)
    return [
        f"{sides[0]}{_more(len({*sides}) - 1)}: {problem}" for (_, problem), sides in kept.items()
    ]


def _more(others: int) -> str:
    return f" (and {others} more)" if others else ""


def save(rows: Sequence[FeatureSpeed], options: FeatureOptions, path: Path) -> None:
    """Writes the table as Markdown to `path`, and beside it every figure as JSON.

    Raises:
        DiskError: the files cannot be written.
    """
    failed = [f"Not timed: {line}." for line in problems(rows)]
    lines = "\n".join(f"- {line}" for line in (*notes(rows, options), *failed))
    document = machine.described() | {
        "options": asdict(options) | {"peer_python": bool(options.peer_python)},
        "rows": [asdict(row) for row in rows],
    }
    table_files.save(path, f"{markdown(table(rows))}\n\n{lines}", document)
