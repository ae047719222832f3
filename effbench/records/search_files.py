"""Which numbers were searched: results/searches/<key>.json, beside the runs and not in them.

A record cannot say it: its run may have been finished before anyone searched. See `searches`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from effbench.config.searches import Search, in_order
from effbench.files import write_atomically
from effbench.records.store import Store


class _Kept(BaseModel):
    """What a file holds; its name is the key."""

    numbers: tuple[str, ...]


@dataclass(frozen=True)
class Searches:
    """The searches of a results directory.

    Attributes:
        known: those that could be read.
        problems: by path, why a file could not be read.
    """

    known: tuple[Search, ...]
    problems: dict[Path, str]


def path(store: Store, search: Search) -> Path:
    """Where a search is kept."""
    return store.directory / "searches" / f"{search.key}.json"


def keep(store: Store, searches: Iterable[Search]) -> None:
    """Writes down what is searched, so that a report joins the runs, whenever they ran.

    Raises:
        DiskError: it cannot be written.
    """
    for search in searches:
        if not path(store, search).exists():
            content = json.dumps({"numbers": search.numbers})
            write_atomically(path(store, search), f"{content}\n".encode())


def read(store: Store) -> Searches:
    """All that is kept in a results directory."""
    known: list[Search] = []
    problems: dict[Path, str] = {}
    for file in sorted(store.directory.glob("searches/*.json")):
        try:
            numbers = _Kept.model_validate_json(file.read_bytes()).numbers
        except (OSError, ValidationError):
            numbers = ()
        if not numbers or in_order(numbers) != numbers:
            problems[file] = "it does not say which numbers were searched; run that sweep again"
            continue
        known.append(Search(file.stem, numbers))
    return Searches(tuple(known), problems)
