"""Signs of marks: they stand behind the name of a row and before what they mean."""

from __future__ import annotations

from collections.abc import Iterable

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def numbered(names: Iterable[str]) -> dict[str, str]:
    """A sign for each name, in their order: ¹, ², and so on."""
    return {name: f"{number}".translate(_SUPERSCRIPT) for number, name in enumerate(names, 1)}
