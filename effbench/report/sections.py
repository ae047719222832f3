"""Rows that may stand in one table, compared with one another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from effbench.records.caveats import ANOTHER_RULE, details
from effbench.records.describe import RULES, cross_validation
from effbench.report import cost, letters
from effbench.report.epoch_rules import decides
from effbench.report.hits import Metric
from effbench.report.notes import notes
from effbench.report.rows import Row
from effbench.report.statistics import ALPHA, MOST_PAIRS, Difference, compare, holm

GROUP_BY = ("recipe", "data")
# Whatever the user groups by: images that are others, fewer, or tested otherwise, are never in one
# table.
KEPT_APART = ("data", "data_sha256", "folds")


@dataclass(frozen=True)
class Pair:
    """Two rows by their indices in a section, the better first.

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
        """The same in words; runs of one seed each say nothing of other seeds."""
        if not self.real:
            return "not shown"
        return "of these seeds" if self.difference.of_these_seeds else "yes"


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        title: what its rows have in common.
        rows: its rows in the order they are shown.
        labels: what tells each row from the others.
        pairs: every two rows, compared by `metric`; empty where there are too many.
        notes: what a reader has to know, a line each.
    """

    title: str
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @property
    def metric(self) -> Metric:
        """The accuracy by which its rows are told apart; all are of the same images."""
        return self.rows[0].metric


def build(rows: Sequence[Row], group_by: Sequence[str] = GROUP_BY) -> list[Section]:
    """Sections in the order of their first rows.

    Args:
        rows: the rows in the order they are to be shown.
        group_by: the columns that all rows of a section share.
    """
    tables: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        flat = row.flat
        # Epochs differ between recipes by themselves; of one, fewer are less than it says.
        less = row.limited if "recipe" in group_by else row.spec.fewer
        key = (*(flat[name] for name in (*group_by, *KEPT_APART)), less, row.metric)
        tables.setdefault(key, []).append(row)
    hashes = {(row.spec.data, row.spec.data_sha256) for row in rows}
    return [
        _section(_title(table, key[: len(group_by)], group_by, hashes), table)
        for key, table in tables.items()
    ]


def _title(
    rows: Sequence[Row],
    values: Sequence[object],
    group_by: Sequence[str],
    hashes: set[tuple[str, str]],
) -> str:
    first = rows[0]
    spec = first.spec
    title = (" on " if tuple(group_by) == GROUP_BY else ", ").join(map(str, values))
    if "data" not in group_by:
        title = f"{title} on {spec.data}"
    versions = [name for name, _ in hashes].count(spec.data)
    content = f" of content {spec.data_sha256[:8]}" if versions > 1 else ""
    less = first.limited if "recipe" in group_by else spec.fewer
    limited = f", limited to {less}" if less else ""
    folds = f", {cross_validation(spec.folds)}" if spec.folds else ""
    return f"{title}{content}{limited}{folds}{_at(rows)}"


def _at(rows: Sequence[Row]) -> str:
    """Which epochs the rows are of, if another rule than the recipe's has chosen any of them."""
    chosen = [row.rule for row in rows if ANOTHER_RULE in row.marks]
    return f", at {RULES[chosen[0]]}" if chosen else ""


def _section(title: str, rows: list[Row]) -> Section:
    order = sorted(range(len(rows)), key=lambda index: -rows[index].accuracy.mean)
    comparable = [index for index in order if rows[index].samples is not None]
    few = len(comparable) * (len(comparable) - 1) // 2 <= MOST_PAIRS
    pairs = _pairs(rows, comparable) if few else []
    if pairs:
        ranks = {index: rank for rank, index in enumerate(comparable)}
        apart = [(ranks[pair.first], ranks[pair.second]) for pair in pairs if pair.real]
        for index, text in zip(comparable, letters.assign(len(ranks), apart), strict=True):
            rows[index] = replace(rows[index], letters=text)
    rows = [replace(row, pareto=fronts) for row, fronts in zip(rows, pareto(rows), strict=True)]
    names = labels(rows)
    said = (*notes(rows, few=few), *decides(rows, names))
    return Section(title, tuple(rows), names, tuple(pairs), said)


def _pairs(rows: Sequence[Row], indices: Sequence[int]) -> list[Pair]:
    index_pairs = list(combinations(indices, 2))
    samples = {
        index: by_metric[rows[index].metric.name]
        for index in indices
        if (by_metric := rows[index].samples)
    }
    differences = [compare(samples[first], samples[second]) for first, second in index_pairs]
    corrected = holm([difference.p for difference in differences])
    return [
        Pair(*pair, difference, p)
        for pair, difference, p in zip(index_pairs, differences, corrected, strict=True)
    ]


def pareto(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """For each row, the columns of costs by which it is on the front of these."""
    accuracies = [row.accuracy.mean for row in rows]
    fronts: dict[str, list[bool]] = {}
    for name, measured in cost.COSTS.items():
        fronts[name] = [False] * len(rows)
        # Times compare on one device, and for as many seeds.
        alike = [(row.cost.device, len(row.results)) if measured else None for row in rows]
        for kind in dict.fromkeys(alike):
            indices = [index for index, other in enumerate(alike) if other == kind]
            values = [_value(rows[index], name) for index in indices]
            front = cost.front(values, [accuracies[index] for index in indices])
            for index, on_front in zip(indices, front, strict=True):
                fronts[name][index] = on_front
    for index in range(len(rows)):
        yield tuple(name for name, front in fronts.items() if front[index])


def _value(row: Row, name: str) -> float | None:
    """A cost; None for hours that lack the time of features that came from the cache."""
    unknown = name == "hours" and row.cost.from_cache
    return None if unknown else getattr(row.cost, name)


# Columns that may tell rows of one variant apart, in the order they are named.
_TELLING = ("image_size", "weights", "recipe", "precision", "details", "group")


def labels(rows: Sequence[Row], unsaid: Collection[str] = ()) -> tuple[str, ...]:
    """The variant, and as much more as tells each row from the others.

    Args:
        rows: the rows of one section.
        unsaid: columns that stand beside the label and are not repeated in it.
    """
    flats = [row.flat for row in rows]
    known: list[tuple[object, ...]] = [(flat["variant"],) for flat in flats]
    said = [[str(flat["variant"])] for flat in flats]
    for name in _TELLING:
        alike: dict[tuple[object, ...], list[int]] = {}
        for index, parts in enumerate(known):
            alike.setdefault(parts, []).append(index)
        for indices in alike.values():
            if len({flats[index][name] for index in indices}) == 1:
                continue
            if name == "details":
                texts = _different_marks([rows[index] for index in indices])
            else:
                texts = [str(flats[index][name]) for index in indices]
            for index, text in zip(indices, texts, strict=True):
                known[index] = (*known[index], flats[index][name])
                if text and name not in unsaid:
                    said[index].append(text)
    return tuple(map(" ".join, said))


def _different_marks(rows: Sequence[Row]) -> list[str]:
    """Of each row, the marks that not all have, each changed number of a recipe by itself."""
    parts = [
        [(mark, part) for mark, much in row.marks.items() for part in much.split(", ")]
        for row in rows
    ]
    shared = set.intersection(*map(set, parts))
    texts = []
    for parts_of_row in parts:
        left: dict[str, list[str]] = {}
        for mark, part in parts_of_row:
            if (mark, part) not in shared:
                left.setdefault(mark, []).append(part)
        texts.append(details({mark: ", ".join(much) for mark, much in left.items()}))
    return texts
