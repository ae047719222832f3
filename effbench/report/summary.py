"""What a section says, in a few sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from effbench.report.sections import COMPARED, Section

# Names in one sentence.
LISTED = 6


def sentences(section: Section) -> Iterator[str]:
    """The best row, what cannot be told apart from it, the cheapest of these, and the marks."""
    rows, labels = section.rows, section.labels
    best = max(range(len(rows)), key=lambda place: rows[place].accuracies[COMPARED].mean)
    found = rows[best].accuracies[COMPARED]
    interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    verb = "is the best on test with" if len(rows) > 1 else "reaches"
    where = "" if len(rows) > 1 else " on test"
    yield f"{labels[best]} {verb} {found.mean:.2f} %{interval}{where}."
    if found.published is not None:
        side = {True: ", within this interval", False: ", outside this interval", None: ""}
        yield f"The case study published {found.published:.2f} %{side[found.within]}."
    yield from _alike(section, best)
    yield from _marks(section)


def _alike(section: Section, best: int) -> Iterator[str]:
    rows, labels = section.rows, section.labels
    pairs = [pair for pair in section.pairs if best in (pair.first, pair.second)]
    alike = [pair.second if pair.first == best else pair.first for pair in pairs if not pair.real]
    if len(rows) > 1 and not pairs:
        yield "Whether others are truly worse was not tested."
    elif pairs and not alike:
        single = any(pair.difference.test == "McNemar" for pair in pairs)
        yield (
            "All others are worse with these seeds; one seed each says nothing of others."
            if single
            else "All others are worse, by more than chance."
        )
    elif alike:
        yield f"It cannot be told apart from {listed([labels[place] for place in alike])}."
        most_lost = max(
            pair.difference.high for pair in pairs if not pair.real and best == pair.first
        )
        yield f"The difference may still be up to {100 * most_lost:.1f} points."
        cheapest = min([best, *alike], key=lambda place: rows[place].cost.gflops)
        least, most = rows[cheapest].cost.gflops, rows[best].cost.gflops
        if least < most:
            yield (
                f"Of these, {labels[cheapest]} is the cheapest: {least:.3g} GFLOPs an image, "
                f"{100 * least / most:.0f} % of what {labels[best]} takes."
            )


def _marks(section: Section) -> Iterator[str]:
    rows = len(section.rows)
    marks = Counter(mark for row in section.rows for mark in row.marks)
    if marks:
        texts = (
            mark if count == rows else f"{mark} ({count} of {rows})"
            for mark, count in marks.items()
        )
        yield f"Marked: {', '.join(texts)}."


def listed(names: Sequence[str]) -> str:
    """Names as they stand in a sentence; of many, the first."""
    more = len(names) - LISTED
    shown = [*names[:LISTED], f"{more} more"] if more > 0 else list(names)
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
