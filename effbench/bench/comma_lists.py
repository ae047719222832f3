"""Comma-separated values of a flag."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from effbench.errors import UsageError


def listed(text: str) -> list[str]:
    """The parts of a comma-separated text, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",")))


def refuse_unknown(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Makes sure that each name that was given is known.

    Raises:
        UsageError: one is not.
    """
    for name in given:
        if name not in known:
            raise UsageError(f"unknown {what}", name, f"choose from {', '.join(known)}")


def numbers(flag: str, text: str, low: int, high: int, example: str) -> list[int]:
    """Comma-separated whole numbers, each once; `example` is one that is right.

    Raises:
        UsageError: they are none, or not from `low` to `high`.
    """
    try:
        values = [int(part) for part in listed(text)]
    except ValueError:
        values = [low - 1]
    if min(values) < low or max(values) > high:
        raise UsageError(
            f"{flag} takes whole numbers from {low} to {high}", text, f"write e.g. {example}"
        )
    return values
