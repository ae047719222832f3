"""Which row of one set of results is compared with which of another, and why some are with none."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from effbench.report.rows import Row

Rows = Mapping[str, Row]


@dataclass(frozen=True)
class ComparedRows:
    """A row of BASE and the one of NEW that it is compared with."""

    name: str
    base: Row
    new: Row


def readable(group: str) -> str:
    """The name of a group without its hash."""
    return group.rpartition("-")[0]


def _task(row: Row) -> Hashable:
    """All that says what is compared, but the recipe."""
    spec = row.spec
    return (
        *(spec.variant, spec.weights.name, spec.image_size),
        *(spec.data, spec.fewer, spec.folds),
    )


# What rows of a pair share.
_Key = Callable[[Row], Hashable]


def pairs(base: Rows, new: Rows) -> list[ComparedRows]:
    """Pairs of rows: those of the same group, or else of the same name.

    Where there are none, those that differ by their recipe alone: beside others, a row that NEW
    lacks is missing, and no other recipe takes its place.

    Args:
        base: the rows of BASE, by their names.
        new: likewise.
    """
    partners = _partners(base, new, lambda row: row.group, lambda row: readable(row.group))
    partners = partners or _partners(base, new, _task)
    return [
        ComparedRows(_name(name, row, partners[name]), row, partners[name])
        for name, row in base.items()
        if name in partners
    ]


def _partners(base: Rows, new: Rows, *keys: _Key) -> dict[str, Row]:
    """Rows of NEW by the names of those of BASE that they share a key with.

    By each key, only those are paired of which either side has just one, among those that no
    earlier key has paired.
    """
    partners: dict[str, Row] = {}
    left, others = dict(base), [*new.values()]
    for alike in keys:
        names = {id(row): name for name, row in left.items()}
        candidates = _alone(others, alike)
        paired = {
            names[id(row)]: candidates[key]
            for key, row in _alone(left.values(), alike).items()
            if key in candidates
        }
        left = {name: row for name, row in left.items() if name not in paired}
        taken = set(map(id, paired.values()))
        others = [row for row in others if id(row) not in taken]
        partners |= paired
    return partners


def _alone(rows: Iterable[Row], alike: _Key) -> dict[Hashable, Row]:
    """Rows by what they may share; those that do share it are left out."""
    return {key: some[0] for key, some in _by(rows, alike).items() if len(some) == 1}


def _by(rows: Iterable[Row], alike: _Key) -> dict[Hashable, list[Row]]:
    by_key: dict[Hashable, list[Row]] = {}
    for row in rows:
        by_key.setdefault(alike(row), []).append(row)
    return by_key


def _name(name: str, base: Row, new: Row) -> str:
    recipe = new.spec.recipe.name
    return name if base.spec.recipe.name == recipe else f"{name} -> {recipe}"


def unpaired(base: Rows, new: Rows, paired: Sequence[ComparedRows]) -> Iterator[tuple[str, str]]:
    """The rows of BASE that are in no pair, by their names, and why."""
    taken = {id(row) for pair in paired for row in (pair.base, pair.new)}
    left, others = (
        _by((row for row in side.values() if id(row) not in taken), _task) for side in (base, new)
    )
    for name, row in base.items():
        if id(row) not in taken:
            yield name, _reason(left[_task(row)], others.get(_task(row), []))


def _reason(base: Sequence[Row], new: Sequence[Row]) -> str:
    """Why rows of a task are not compared, if there are any on both sides."""
    if not new:
        return "NEW has no such row"
    several = [
        f"several rows of {side} differ only by {_differ(rows)}"
        for side, rows in (("BASE", base), ("NEW", new))
        if len(rows) > 1
    ]
    return "; ".join(several) or f"NEW has it by {new[0].spec.recipe.name} alone"


def _differ(rows: Sequence[Row]) -> str:
    recipes = dict.fromkeys(row.spec.recipe.name for row in rows)
    if len(recipes) > 1:
        return f"their recipe: {', '.join(recipes)}"
    settings = [asdict(row.spec) | asdict(row.spec.recipe) for row in rows]
    names = [
        name
        for name in settings[0]
        if name not in ("seed", "recipe") and len({str(one.get(name)) for one in settings}) > 1
    ]
    return ", ".join(names)
