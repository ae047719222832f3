"""A letter for every set of rows that cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_lowercase


def assign(rows: int, different: Iterable[tuple[int, int]]) -> list[str]:
    """A compact letter display: two rows share a letter unless they differ.

    Piepho 2004, "An algorithm for a letter-based representation of all-pairwise comparisons":
    insert each difference by splitting every set that holds both, and absorb what lies in another.

    Args:
        rows: how many; the first gets "a".
        different: pairs of rows that were told apart.
    """
    sets = [frozenset(range(rows))]
    for first, second in different:
        split = {
            part
            for each in sets
            for part in ((each - {first}, each - {second}) if {first, second} <= each else (each,))
        }
        sets = [each for each in split if not any(each < other for other in split)]
    names = {each: _name(place) for place, each in enumerate(sorted(sets, key=sorted))}
    return ["".join(name for each, name in names.items() if row in each) for row in range(rows)]


def _name(place: int) -> str:
    rounds, letter = divmod(place, len(ascii_lowercase))
    return ascii_lowercase[letter] + (str(rounds) if rounds else "")
