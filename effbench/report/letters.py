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
            for members in sets
            for part in (
                (members - {first}, members - {second})
                if {first, second} <= members
                else (members,)
            )
        }
        sets = [members for members in split if not any(members < other for other in split)]
    names = {members: _name(index) for index, members in enumerate(sorted(sets, key=sorted))}
    return [
        "".join(name for members, name in names.items() if row in members) for row in range(rows)
    ]


def _name(index: int) -> str:
    rounds, letter = divmod(index, len(ascii_lowercase))
    return ascii_lowercase[letter] + (str(rounds) if rounds else "")
