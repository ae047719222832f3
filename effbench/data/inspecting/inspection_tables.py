"""An inspection as tables and as points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from effbench.data.inspecting.inspection import Alike, Inspection
from effbench.data.inspecting.listing import SPLITS, printable, some
from effbench.data.inspecting.near_duplicates import NEAR_BITS
from effbench.tables import Column, Table

# Rows of a table of classes or files; --json has them all.
ROWS = 40
# Characters of a name that are enough, where other columns want room.
_ENOUGH = 24


def tables(inspection: Inspection) -> list[Table]:
    """What there are numbers for: classes, sides, upsampled images; then files, if any are bad."""
    return [
        table
        for table in (
            _classes(inspection),
            _sides(inspection),
            _upsampled(inspection),
            _unreadable(inspection),
            _alike("Images with the same pixels", inspection.alike),
            _alike("Images that look the same", inspection.near or ()),
        )
        if table.rows
    ]


def notes(inspection: Inspection) -> Iterator[str]:
    """What there are words for."""
    order = "their numbers" if inspection.by_number else "the letters of their names"
    yield f"Labels go by {order}."
    if inspection.formats:
        counts = (f"{name} {count:,}" for name, count in inspection.formats.items())
        yield f"Formats, by content: {', '.join(counts)}."
    if any(row.images for row in inspection.upsampled):
        yield "An image with a side shorter than a variant's native size is upsampled for it."
    yield from _split_notes(inspection)
    yield from _balance(inspection)
    for names, what in (
        (inspection.no_images, "Files among the images that are none"),
        (inspection.beside, "Files outside of the classes' folders"),
    ):
        if names:
            yield f"{what}: {len(names):,} ({some(names)})."
    if inspection.hidden:
        yield f"Hidden files and folders that were passed over: {inspection.hidden:,}."
    yield from _alike_notes("have the same pixels as others", inspection.alike)
    if inspection.near is not None:
        what = f"look like others (perceptual hashes that differ in at most {NEAR_BITS} of 64 bits)"
        yield from _alike_notes(what, inspection.near)
        if not inspection.near:
            yield f"No {'other images' if inspection.alike else 'two images'} look the same."
    cut = [len(rows) for rows in _long(inspection) if len(rows) > ROWS]
    if cut:
        yield f"Tables show {ROWS} rows at most; --json has them all."


def _classes(inspection: Inspection) -> Table:
    splits = [
        split
        for split in SPLITS
        if split_known(inspection) and any(getattr(count, split) for count in inspection.classes)
    ]
    rows = [
        (
            printable(count.name),
            f"{count.images:,}",
            *(f"{getattr(count, split):,}" for split in splits),
        )
        for count in inspection.classes[:ROWS]
    ]
    columns = (Column("Class", words=True, enough=_ENOUGH), Column("Images"))
    classes = _several(len(inspection.classes), "class", "es")
    return Table(
        f"{classes}, {_several(inspection.images, 'image')}",
        (*columns, *(Column(split) for split in splits)),
        tuple(rows),
    )


def _several(count: int, what: str, ending: str = "s") -> str:
    return f"{count:,} {what}{ending * (count != 1)}"


def split_known(inspection: Inspection) -> bool:
    """Whether every image is in a split."""
    return all(
        count.images == count.train + count.validation + count.test for count in inspection.classes
    )


def _sides(inspection: Inspection) -> Table:
    columns = (
        Column("Pixels", words=True),
        *(Column(title) for title in ("Smallest", "Median", "Largest")),
    )
    rows = tuple(
        (row.side, f"{row.smallest:,}", f"{row.median:,}", f"{row.largest:,}")
        for row in inspection.sides
    )
    return Table("Sizes", columns, rows)


def _upsampled(inspection: Inspection) -> Table:
    columns = (Column("Variants", words=True), Column("Size"), Column("Images"), Column("Share"))
    rows = tuple(
        (
            ", ".join(row.variants),
            str(row.size),
            f"{row.images:,}",
            f"{100 * row.images / inspection.images:.1f} %",
        )
        for row in inspection.upsampled
        if row.images
    )
    return Table("Smaller than a native size", columns, rows)


def _unreadable(inspection: Inspection) -> Table:
    columns = (Column("File", words=True), Column("Reason", words=True))
    rows = tuple((printable(row.name), row.reason) for row in inspection.unreadable[:ROWS])
    return Table("Images that cannot be read", columns, rows)


def _alike(caption: str, groups: Sequence[Alike]) -> Table:
    columns = (
        Column("Group"),
        Column("Files", words=True),
        Column("Classes", words=True),
        Column("Splits", words=True),
    )
    rows = tuple(
        (
            f"{number:,}",
            _lines(group.names),
            _lines(group.labels),
            _lines(group.splits),
        )
        for number, group in enumerate(groups[:ROWS], 1)
    )
    return Table(caption, columns, rows)


def _lines(texts: Sequence[str]) -> str:
    more = [f"and {len(texts) - ROWS:,} more"] if len(texts) > ROWS else []
    return "\n".join([*map(printable, texts[:ROWS]), *more])


def _long(inspection: Inspection) -> tuple[Sequence[object], ...]:
    return (
        inspection.classes,
        inspection.unreadable,
        inspection.alike,
        inspection.near or (),
    )


def _split_notes(inspection: Inspection) -> Iterator[str]:
    if not split_known(inspection):
        return
    if inspection.made:
        yield (
            f"The splits made here: {', '.join(inspection.made)}; stratified by class, always the "
            "same."
        )
    if not inspection.split_sha256:  # a sweep would refuse it, for what is said below
        return
    if inspection.groups:
        yield _grouped(inspection)
    if not any(count.test for count in inspection.classes):
        yield "There is no test split: nothing that comes out may be called a test accuracy."
    yield f"SHA-256 of the split: {inspection.split_sha256}"


def _grouped(inspection: Inspection) -> str:
    groups, alone = inspection.groups, inspection.images - inspection.grouped
    come = f"Images come in {_several(groups, 'group')}"
    if not alone:
        return f"{come}: each stays in one split, and intervals are over them."
    return (
        f"{come} ({_several(inspection.grouped, 'image')}) or alone ({alone:,}): each group stays "
        f"in one split, and intervals are over these {groups + alone:,}."
    )


def _balance(inspection: Inspection) -> Iterator[str]:
    counts = [(count.images, count.name) for count in inspection.classes if count.images]
    if len(counts) > 1:
        (fewest, small), (most, large) = min(counts), max(counts)
        if fewest == most:
            yield f"All classes have {_several(most, 'image')}."
            return
        if most / fewest < 1.05:  # "1.0 times as many" would say nothing
            yield (
                f"Classes have about as many images: from {fewest:,} of {printable(small)} to "
                f"{most:,} of {printable(large)}."
            )
            return
        yield (
            f"The largest class, {printable(large)}, has {most / fewest:.1f} times as many images "
            f"as the smallest, {printable(small)} ({most:,} and {fewest:,})."
        )


def _alike_notes(what: str, groups: Sequence[Alike]) -> Iterator[str]:
    if groups:
        images = sum(len(group.names) for group in groups)
        yield (
            f"{images:,} images {what}, in {_several(len(groups), 'group')}: "
            f"{_several(sum(group.leaks for group in groups), 'group')} in two splits, "
            f"{sum(group.contradicts for group in groups):,} with two labels."
        )
