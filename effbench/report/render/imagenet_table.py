"""Releases that were scored, beside what was published of them: tables, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from effbench.imagenet import protocols
from effbench.imagenet.imagenet_records import SCORING_CAVEATS, ImagenetRecord
from effbench.imagenet.protocols import PROTOCOLS
from effbench.imagenet.validation_sets import IMAGENET, VERSION_2
from effbench.report import protocol_cost, reproduction
from effbench.report.protocol_cost import ProtocolCost
from effbench.report.render import footnote_signs
from effbench.tables import Column, Table, in_markdown
from effbench.tables import markdown as tabulated

_SETS = {IMAGENET: "ImageNet's validation images (ILSVRC 2012)", VERSION_2: "ImageNetV2"}
_TESTED = (
    "tested: top-5 by keras-efficientnet-v2, bicubic and of another crop, so it is not judged; "
    "'effbench reference imagenet' has it"
)
# Characters that are enough for words on a terminal.
_NAME, _ANSWER = 12, 8
_COLUMNS = (
    Column("Model", words=True, enough=_ANSWER),
    Column("Weights", words=True, enough=_NAME),
    Column("Size"),
    Column("Protocol", words=True, enough=_ANSWER),
    Column("top-1"),
    Column("95 %"),
    Column("published", rank=1),
    Column("same?", words=True, enough=_ANSWER),
    Column("top-5", rank=2),
    Column("tested", rank=3),
)


def title(records: Sequence[ImagenetRecord]) -> str:
    """Which sets were scored: the name, and how many images and classes of each."""
    return "; ".join(dict.fromkeys(map(_scored_on, records)))


def _scored_on(record: ImagenetRecord) -> str:
    name = _SETS.get(record.spec.data, f"the folder {record.spec.data}")
    total, whole = record.scores.total, record.whole
    images = f"{total:,}" if total == whole else f"{total:,} of {whole:,}"
    return f"{name}: {images} images, {record.spec.classes:,} classes"


def on_terminal(records: Sequence[ImagenetRecord]) -> tuple[Table, list[str]]:
    """The table with signs for marks, which no width leaves out, and the notes below it."""
    sign = footnote_signs.numbered(_present(records))
    models = [
        " ".join([record.spec.variant, *(sign[name] for name in record.marks)])
        for record in records
    ]
    return _table(title(records), records, models), [*_marks(records, sign), *_notes(records)]


def markdown(records: Sequence[ImagenetRecord]) -> str:
    """The same for GitHub, where marks have a column of their own."""
    table = _table("", records, [record.spec.variant for record in records])
    marks = [", ".join(record.marks) for record in records]
    if any(marks):
        rows = tuple((*row, mark) for row, mark in zip(table.rows, marks, strict=True))
        table = Table("", (*table.columns, Column("Marks", words=True)), rows)
    lines = [*_marks(records, {}), *_notes(records)]
    parts = (
        f"**{in_markdown(title(records))}**",
        tabulated(table),
        "\n".join(f"- {in_markdown(line)}" for line in lines),
    )
    return "\n\n".join(parts) + "\n"


def as_json(records: Sequence[ImagenetRecord]) -> str:
    """Every record with its marks, what it was scored on, and what was published of it.

    Which images were right stays in the record. Where a release was scored by several protocols,
    `instead_of` has what this one costs beside the first.
    """
    rows = []
    instead = {id(cost.other): _instead(cost) for cost in protocol_cost.costs(records)}
    for record in records:
        beside = reproduction.of(record)
        scored_on = {
            "name": record.spec.data,
            "images": record.scores.total,
            "of": record.whole,
            "classes": record.spec.classes,
        }
        answers = {"marks": record.marks, "scored_on": scored_on, "reproduced": beside.answer}
        answers["instead_of"] = instead.get(id(record))
        rows.append(asdict(beside) | asdict(record) | answers)
        del rows[-1]["hits"]
    return json.dumps(rows, indent=1) + "\n"


def _instead(cost: ProtocolCost) -> dict[str, object]:
    test = cost.difference
    return {
        "protocol": cost.base.spec.protocol,
        "points": cost.points,
        "low": 100 * test.low if test else None,
        "high": 100 * test.high if test else None,
        "p": test.p if test else None,
    }


def _table(caption: str, records: Sequence[ImagenetRecord], models: Iterable[str]) -> Table:
    """The columns that say something."""
    lines = [(model, *_cells(record)) for model, record in zip(models, records, strict=True)]
    whole = Table(caption, _COLUMNS, tuple(lines))
    filled = [column.title for column, *cells in zip(_COLUMNS, *lines, strict=True) if any(cells)]
    return whole.only(filled)


def _cells(record: ImagenetRecord) -> tuple[str, ...]:
    spec, scores, beside = record.spec, record.scores, reproduction.of(record)
    published, tested = (
        "" if percent is None else f"{percent:g}"
        for percent in (beside.published, beside.published_top5)
    )
    return (
        *(spec.weights.name, str(spec.image_size), spec.protocol, f"{100 * scores.accuracy:.2f}"),
        *(f"{beside.low:.2f}–{beside.high:.2f}", published, beside.answer),
        *(f"{100 * scores.top5_accuracy:.2f}", tested),
    )


def _present(records: Sequence[ImagenetRecord]) -> list[str]:
    marks = {name for record in records for name in record.marks}
    return [row.name for row in SCORING_CAVEATS if row.name in marks]


def _marks(records: Sequence[ImagenetRecord], sign: Mapping[str, str]) -> Iterator[str]:
    """What each mark means, and how much of it there is."""
    meanings = {row.name: row.meaning for row in SCORING_CAVEATS}
    for name in _present(records):
        details: dict[str, list[str]] = {}
        for record in records:
            if name in record.marks:
                details.setdefault(record.marks[name], []).append(record.spec.variant)
        much = "; ".join(
            f"{detail} for {', '.join(models)}" if len(details) > 1 else detail
            for detail, models in details.items()
        )
        lead = f"{sign[name]} {name}" if name in sign else name
        yield f"{lead}{f' ({much})' if much else ''}: {meanings[name]}"


def _notes(records: Sequence[ImagenetRecord]) -> Iterator[str]:
    yield from (cost.text for cost in protocol_cost.costs(records))
    specs = [record.spec for record in records]
    for row in PROTOCOLS.values():
        sizes = sorted({spec.image_size for spec in specs if spec.protocol == row.name})
        if sizes:
            listed = ", ".join(map(str, sizes))
            yield f"{row.name}: {row.described(*sizes)} (at {listed} pixels); {row.source}"
    figures = [protocols.published(spec.variant, spec.weights.name) for spec in specs]
    yield from dict.fromkeys(figure.doubt for figure in figures if figure and figure.doubt)
    if any(reproduction.of(record).published_top5 for record in records):
        yield _TESTED
