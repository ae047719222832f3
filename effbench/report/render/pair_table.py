"""Which rows differ: every pair as a line, or all of them as a triangle."""

from __future__ import annotations

from collections.abc import Sequence

from effbench.report.sections import Pair, Section
from effbench.tables import Column, Table, width_of

# How many pairs a table to be read has; the JSON has them all.
SHOWN = 45
# How many of the closest pairs a terminal lists where a triangle has no room. Where there are no
# more pairs than these, it lists them anyway, which says more.
CLOSEST = 6
# What a triangle says of a pair, by its verdict.
SIGNS = {"yes": "≠", "of these seeds": "~", "not shown": "·"}
_TOLD = {
    "yes": "a real difference",
    "of these seeds": "a difference of these seeds",
    "not shown": "no difference shown",
}


def _caption(section: Section) -> str:
    return f"Is the difference in {section.metric.title.lower()} real?"


def lines(section: Section, *, every: bool) -> Table:
    """A line for each pair; only the first `SHOWN` of many, unless all are asked for."""
    shown = section.pairs if every else section.pairs[:SHOWN]
    more = len(section.pairs) - len(shown)
    left_out = f" (the first {len(shown)}; --json has {more} more)" if more else ""
    return _lines(section, shown, f"{_caption(section)}{left_out}")


def on_terminal(section: Section, width: int) -> Table:
    """A triangle where there is room for it; else the pairs that are closest to one another."""
    if len(section.pairs) <= CLOSEST:
        return _lines(section, section.pairs, _caption(section))
    triangle = _triangle(section)
    if width_of(triangle) <= width:
        return triangle
    closest = sorted(section.pairs, key=lambda pair: pair.difference.mean)[:CLOSEST]
    left_out = f"the {CLOSEST} closest of {len(section.pairs)} pairs; --pairs shows all"
    return _lines(section, closest, f"{_caption(section)} ({left_out})")


def _lines(section: Section, pairs: Sequence[Pair], caption: str) -> Table:
    columns = (
        Column("better", words=True),
        Column("than", words=True),
        Column("by"),
        Column("p", rank=3),
        Column("p (Holm)", rank=1),
        Column("real", words=True),
        Column("test", words=True, rank=2),
    )
    return Table(caption, columns, tuple(_line(section, pair) for pair in pairs))


def _line(section: Section, pair: Pair) -> tuple[str, ...]:
    difference = pair.difference
    points = [100 * value for value in (difference.mean, difference.low, difference.high)]
    return (
        section.labels[pair.first],
        section.labels[pair.second],
        "{:.2f} [{:.2f}, {:.2f}]".format(*points),
        f"{difference.p:.2g}",
        f"{pair.p:.2g}",
        pair.verdict,
        difference.test,
    )


def _triangle(section: Section) -> Table:
    """The points by which the row named above is ahead of the one on the left, and a sign."""
    pairs = {(pair.first, pair.second): pair for pair in section.pairs}
    better = list(dict.fromkeys(first for first, _ in pairs))
    worse = list(dict.fromkeys(second for _, second in pairs))

    def cell(first: int, second: int) -> str:
        pair = pairs.get((first, second))
        return f"{100 * pair.difference.mean:.2f} {SIGNS[pair.verdict]}" if pair else ""

    verdicts = {pair.verdict for pair in section.pairs}
    legend = ", ".join(
        f"{SIGNS[verdict]} {_TOLD[verdict]}" for verdict in SIGNS if verdict in verdicts
    )
    return Table(
        f"{_caption(section)}\nThe points by which the row named above is ahead: {legend}.",
        (Column("", words=True), *(Column(section.labels[first]) for first in better)),
        tuple(
            (section.labels[second], *(cell(first, second) for first in better)) for second in worse
        ),
    )
