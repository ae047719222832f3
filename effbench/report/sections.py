"""Rows that may stand in one table, compared with one another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from effbench.report import cost, letters
from effbench.report.notes import notes
from effbench.report.rows import Row
from effbench.report.statistics import ALPHA, MOST_PAIRS, Bootstrap, Difference, compare, holm

GROUP_BY = ("recipe", "data")
# Whatever the user groups by: other images, or fewer, are never in one table.
KEPT_APART = ("data", "data_sha256")
# The accuracy by which rows are told apart.
COMPARED = "test_accuracy"


@dataclass(frozen=True)
class Pair:
    """Two rows by their places in a section, the better first.

    `p` is corrected for the number of the section's pairs (Holm).
    """

    first: int
    second: int
    difference: Difference
    p: float

    @property
    def real(self) -> bool:
        """Whether they were told apart."""
        return self.p < ALPHA

    @property
    def verdict(self) -> str:
        """The same in words; of one seed each nothing follows for others."""
        if not self.real:
            return "not shown"
        return "of these seeds" if self.difference.test == "McNemar" else "yes"


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        title: what its rows have in common.
        rows: in the order they are shown.
        labels: what tells each row from the others.
        pairs: by `COMPARED`; empty where there are too many.
        notes: what a reader has to know, a line each.
    """

    title: str
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]


def build(
    rows: Sequence[Row], bootstrap: Bootstrap | None, group_by: Sequence[str] = GROUP_BY
) -> list[Section]:
    """Sections in the order of their first rows.

    Args:
        rows: in the order they are to be shown.
        bootstrap: of the samples of all rows; only several seeds need it.
        group_by: columns that all rows of a section share.
    """
    tables: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        flat = row.flat
        # Epochs differ between recipes by themselves; of one, fewer are less than it says.
        less = row.limited if "recipe" in group_by else row.spec.limit
        key = (*(flat[name] for name in (*group_by, *KEPT_APART)), less)
        tables.setdefault(key, []).append(row)
    hashes = {(row.spec.data, row.spec.data_sha256) for row in rows}
    return [
        _section(_title(table[0], key[: len(group_by)], group_by, hashes), table, bootstrap)
        for key, table in tables.items()
    ]


def _title(
    first: Row, values: Sequence[object], group_by: Sequence[str], hashes: set[tuple[str, str]]
) -> str:
    spec = first.spec
    title = (" on " if tuple(group_by) == GROUP_BY else ", ").join(map(str, values))
    if "data" not in group_by:
        title = f"{title} on {spec.data}"
    versions = [name for name, _ in hashes].count(spec.data)
    content = f" of content {spec.data_sha256[:8]}" if versions > 1 else ""
    images = f"{spec.limit:,} images" if spec.limit else ""
    less = first.limited if "recipe" in group_by else images
    return f"{title}{content}" + (f", limited to {less}" if less else "")


def _section(title: str, rows: list[Row], bootstrap: Bootstrap | None) -> Section:
    order = sorted(range(len(rows)), key=lambda place: -rows[place].accuracies[COMPARED].mean)
    comparable = [place for place in order if rows[place].samples is not None]
    few = len(comparable) * (len(comparable) - 1) // 2 <= MOST_PAIRS
    pairs = _pairs(rows, comparable, bootstrap) if few else []
    if pairs:
        ranks = {place: rank for rank, place in enumerate(comparable)}
        apart = [(ranks[pair.first], ranks[pair.second]) for pair in pairs if pair.real]
        for place, text in zip(comparable, letters.assign(len(ranks), apart), strict=True):
            rows[place] = replace(rows[place], letters=text)
    rows = [replace(row, pareto=fronts) for row, fronts in zip(rows, _pareto(rows), strict=True)]
    return Section(title, tuple(rows), labels(rows), tuple(pairs), notes(rows, few=few))


def _pairs(rows: Sequence[Row], places: Sequence[int], bootstrap: Bootstrap | None) -> list[Pair]:
    found = list(combinations(places, 2))
    samples = {place: own[COMPARED] for place in places if (own := rows[place].samples)}
    differences = [compare(samples[first], samples[second], bootstrap) for first, second in found]
    corrected = holm([difference.p for difference in differences])
    return [
        Pair(*pair, difference, p)
        for pair, difference, p in zip(found, differences, corrected, strict=True)
    ]


def _pareto(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """For each row the columns of costs by which it is on the front."""
    accuracies = [row.accuracies[COMPARED].mean for row in rows]
    fronts: dict[str, list[bool]] = {}
    for name, measured in cost.COSTS.items():
        fronts[name] = [False] * len(rows)
        # Times compare on one device, and for as many seeds.
        alike = [(row.cost.device, len(row.results)) if measured else None for row in rows]
        for kind in dict.fromkeys(alike):
            places = [place for place, own in enumerate(alike) if own == kind]
            values = [_value(rows[place], name) for place in places]
            front = cost.front(values, [accuracies[place] for place in places])
            for place, on_front in zip(places, front, strict=True):
                fronts[name][place] = on_front
    for place in range(len(rows)):
        yield tuple(name for name, front in fronts.items() if front[place])


def _value(row: Row, name: str) -> float | None:
    """None where the features came from the cache, so that the time they took is not known."""
    unknown = name == "hours" and row.cost.from_cache
    return None if unknown else getattr(row.cost, name)


# What may tell rows of one variant apart, in the order it is said.
_TELLING = ("image_size", "weights", "recipe", "precision", "details", "group")


def labels(rows: Sequence[Row], unsaid: Collection[str] = ()) -> tuple[str, ...]:
    """The variant, and as much more as tells each row from the others.

    Args:
        rows: of one section.
        unsaid: columns that stand beside the label and are not said again.
    """
    flats = [row.flat for row in rows]
    known: list[tuple[object, ...]] = [(flat["variant"],) for flat in flats]
    said = [[str(flat["variant"])] for flat in flats]
    for name in _TELLING:
        values: dict[tuple[object, ...], set[object]] = {}
        for flat, parts in zip(flats, known, strict=True):
            values.setdefault(parts, set()).add(flat[name])
        for index, flat in enumerate(flats):
            if len(values[known[index]]) > 1:
                known[index] = (*known[index], flat[name])
                if name not in unsaid:
                    said[index].append(str(flat[name] or "as it is"))
    return tuple(map(" ".join, said))
