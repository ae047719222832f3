"""Shows timed steps: as tables of words, as Markdown, and as JSON with every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from effbench import provenance, table_files
from effbench.bench.peers import EXTRA
from effbench.bench.step import StepOptions, TimedCase, name
from effbench.bench.step_messages import Pace
from effbench.bench.step_peers import PeerSteps
from effbench.hardware import machine
from effbench.tables import Column, Table
from effbench.tables import markdown as as_markdown

_WORDS = ("Model", "Precision", "Recipe", "Augmented", "By")
# A narrow terminal leaves out the columns with the highest number first. Before all of them go
# those that tell rows apart, where they are the same in every row.
_RANKS = {
    "median ms": 1,
    "fit median ms": 1,
    "effbench ms": 1,
    "fastest": 1,
    "fit memory GB": 2,
    "× fit, fastest": 3,
    "p90 ms": 3,
    "compile s": 3,
    "p99 ms": 4,
    "others": 4,
    "p10 ms": 5,
}
_RANK_WHERE_EQUAL = 6
_OFTEN_EQUAL = ("Batch", "Precision", "Recipe", "Augmented")

# Cores that other programs may use before the table says that the machine was shared.
_SHARED = 0.1

# What a reader has to know about steps of peers.
_PEERS = (
    "timm's network of the same name, with random weights, in the same process tree and by turns; "
    "a ratio is that of the medians within a round, their median with the lowest and the highest; "
    "fastest is that of the fastest steps, which other programs disturb least. "
    "timm takes uint8 images of 32x32, resizes them in the step, and has drop path, label "
    "smoothing, RMSprop with momentum and L2, and a moving average of weights and statistics, "
    "whatever the recipe; its bfloat16 is that of `torch.autocast`. Ours has all these and more: "
    "it picks its batch by positions, counts the images that are right, looks whether the loss is "
    "finite, and computes the same numbers each time."
)


@dataclass(frozen=True)
class StepTables:
    """What is shown.

    Attributes:
        tables: training, then inference and what it takes, then training beside other tools.
        notes: what a reader has to know about the figures.
        problems: a line for each row that failed.
    """

    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def show(rows: Sequence[TimedCase], options: StepOptions) -> StepTables:
    """The rows in words."""
    tables = []
    for title, cells in (
        ("Training steps", [_which(row) | _training(row) for row in rows]),
        ("Inference, and what it takes", [_which(row) | _inference(row) for row in rows]),
        (
            "Training steps beside other tools",
            [_which(row) | _beside(row, peer) for row in rows for peer in row.peers],
        ),
    ):
        if not cells:
            continue
        columns = []
        for heading in cells[0]:
            equal = heading in _OFTEN_EQUAL and len({row[heading] for row in cells}) == 1
            rank = _RANK_WHERE_EQUAL if equal else _RANKS.get(heading, 0)
            columns.append(Column(heading, heading in _WORDS, rank))
        texts = (tuple(row.values()) for row in cells)
        tables.append(Table(title, tuple(columns), tuple(texts)))
    return StepTables(
        tuple(tables),
        _notes(rows, options),
        _problems(rows),
    )


def _problems(rows: Sequence[TimedCase]) -> tuple[str, ...]:
    """A line for each row that failed; what a peer lacks is said once."""
    lines = [f"{name(row.case)}: {row.problem}" for row in rows if row.problem]
    for row in rows:
        for peer in row.peers:
            if peer.problem.endswith(EXTRA):
                lines.append(f"{peer.tool}: {peer.problem}")
            elif peer.problem:
                network = replace(row.case, recipe=None)
                lines.append(f"{name(network, peer.name)}: {peer.problem}")
    return tuple(dict.fromkeys(lines))


def _which(row: TimedCase) -> dict[str, str]:
    case = row.case
    return {
        "Model": case.variant,
        "Size": str(case.image_size),
        "Batch": str(case.batch_size),
        "Precision": case.precision,
        "Recipe": case.recipe.name if case.recipe else "",
        "Augmented": "yes" if row.augmented else "no",
    }


def _training(row: TimedCase) -> dict[str, str]:
    """The cells about training steps; "-" for what is not known."""
    return {
        "images/s": _number(row.train.images_per_second if row.train else None, 1),
        **_percentiles(row.train, "p10", "median", "p90", "p99"),
        "fit median ms": _milliseconds(row.fit, "median"),
        "× fit": _number(row.ratio, 2),
        "× fit, fastest": _number(row.best_ratio, 2),
    }


def _inference(row: TimedCase) -> dict[str, str]:
    """The cells about inference and what it takes; "-" for what is not known."""
    return {
        "images/s": _number(row.inference.images_per_second if row.inference else None, 1),
        **_percentiles(row.inference, "p10", "median", "p90", "p99"),
        "compile s": _number(row.compile, 1),
        "memory GB": _gigabytes(row.memory),
        "fit memory GB": _gigabytes(row.fit_memory),
        "others": _number(row.others, 2),
    }


def _beside(row: TimedCase, peer: PeerSteps) -> dict[str, str]:
    """The cells about a peer's training steps beside a recipe; "-" for what is not known."""
    ratio, ends = "-", peer.ratios
    if peer.ratio is not None:
        ratio = f"{peer.ratio:.2f} ({min(ends):.2f} to {max(ends):.2f})"
    return {
        "By": peer.name,
        **_percentiles(peer.train, "p10", "median", "p90"),
        "effbench ms": _milliseconds(row.train, "median"),
        "effbench × as fast": ratio,
        "fastest": _number(peer.train.best / row.train.best, 2)
        if peer.train and row.train
        else "-",
    }


def _percentiles(pace: Pace | None, *names: str) -> dict[str, str]:
    return {f"{name} ms": _milliseconds(pace, name) for name in names}


def _notes(rows: Sequence[TimedCase], options: StepOptions) -> tuple[str, ...]:
    versions = ", ".join(f"{name} {text}" for name, text in provenance.versions().items())
    commit = provenance.commit()
    passes = {row.inference.images for row in rows if row.inference}
    notes = [
        f"{machine.cpu_name()}; {versions}{f'; commit {commit}' if commit else ''}.",
        f"Every case in a process of its own; {options.rounds} rounds by turns, {options.steps} "
        "steps of each counted one by one, after the one that compiles and one more a turn.",
        "Random weights and random uint8 images of 32x32, resized inside the step.",
        "compile: the first step less the second. memory: the most that the process held.",
        "× fit: times as fast as the same backbone, size, batch and precision under Keras's `fit` "
        "with Adam and no augmentation, by the medians and by the fastest steps.",
    ]
    if passes:
        notes.append(f"inference: passes over {passes.pop()} images, as validation does.")
    versions_of_peers = {peer.version for row in rows for peer in row.peers if peer.version}
    if versions_of_peers:
        notes.append(f"{'; '.join(sorted(versions_of_peers))}: {_PEERS}")
    if any((row.others or 0.0) > _SHARED for row in rows):
        notes.append(
            "**Not alone on the machine**: others is how many cores other programs used meanwhile; "
            "ratios hold better than times."
        )
    return tuple(notes)


def markdown(shown: StepTables) -> str:
    """The tables and their notes."""
    parts = [f"### {table.caption}\n\n{as_markdown(table)}" for table in shown.tables]
    lines = (*shown.notes, *(f"Failed: {problem}." for problem in shown.problems))
    return "\n\n".join((*parts, "\n".join(f"- {line}" for line in lines)))


def save(rows: Sequence[TimedCase], options: StepOptions, path: Path) -> None:
    """Writes the table as Markdown to `path`, and beside it as JSON: seconds, bytes, and ratios.

    Raises:
        DiskError: the files cannot be written.
    """
    ratios = [asdict(row) | {"ratio": row.ratio, "best_ratio": row.best_ratio} for row in rows]
    document = machine.described() | {
        "options": asdict(options) | {"peer_python": None},
        "rows": ratios,
    }
    table_files.save(path, markdown(show(rows, options)), document)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _milliseconds(pace: Pace | None, which: str) -> str:
    return "-" if pace is None else f"{1000 * getattr(pace, which):,.0f}"


def _gigabytes(memory: int | None) -> str:
    return "-" if memory is None else f"{memory / 1e9:.2f}"
