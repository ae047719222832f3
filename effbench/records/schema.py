"""Records to JSON and back: the schema, the upgrades of older ones, and the checksum.

The checksum finds what was changed by accident or without care. It takes as long as reading the
record does, so only those who show its numbers to others ask for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from effbench.config.run_spec import digest
from effbench.config.variants import VARIANTS
from effbench.errors import one_line
from effbench.records.record import SCHEMA, Record, RunFailure, RunResult

Kind = TypeVar("Kind", RunResult, RunFailure)

# What a reader is told of a record whose checksum is not that of its content.
CHANGED = "changed since it was written: its sha256 is another"

_RESULT = TypeAdapter(RunResult)
_FAILURE = TypeAdapter(RunFailure)

# What makes a record of each older schema one of the next.
_UPGRADES: Mapping[int, Callable[[dict[str, object]], dict[str, object]]] = {
    1: lambda raw: raw | {"schema": 2},  # it had no checksum
}


def to_json(record: Record) -> bytes:
    """A record as indented JSON, with the checksum of all the rest."""
    content = asdict(record)
    return (json.dumps(content | {"sha256": digest(content)}, indent=1) + "\n").encode()


def intact(path: Path) -> bool | None:
    """Whether a readable record is as it was written; None for schema 1, which cannot tell."""
    return _as_written(from_json(path.read_bytes()))


def read_result(path: Path, *, checked: bool = False) -> RunResult:
    """The finished run in a file; if `checked`, one that is as it was written.

    Raises:
        ValueError: one line that says why it cannot be read.
    """
    return _read(_RESULT, path, checked)


def read_failure(path: Path, *, checked: bool = False) -> RunFailure:
    """The failure in a file; if `checked`, one that is as it was written.

    Raises:
        ValueError: one line that says why it cannot be read.
    """
    return _read(_FAILURE, path, checked)


def _as_written(raw: dict[str, object]) -> bool | None:
    if raw["schema"] == 1:
        return None
    content = {name: value for name, value in raw.items() if name != "sha256"}
    return raw.get("sha256") == digest(content)


def _parsed(path: Path) -> object:
    try:
        return from_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"no JSON, or not all of it: {error}") from error


def _read(adapter: TypeAdapter[Kind], path: Path, checked: bool) -> Kind:
    try:
        raw = _parsed(path)
        record = adapter.validate_python(_upgraded(raw))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise ValueError(one_line(str(error))) from error
    if record.spec.key != path.parent.name:
        raise ValueError(f"the record's key is {record.spec.key}, not its folder's name")
    if record.spec.variant not in VARIANTS:
        raise ValueError(f"unknown variant: {record.spec.variant}")
    if isinstance(record, RunResult):
        rule = record.spec.recipe.selection
        if rule not in {row.rule for row in record.selected}:
            raise ValueError(f"no epoch selected by {rule}")
    if checked and isinstance(raw, dict) and _as_written(raw) is False:
        raise ValueError(CHANGED)
    return record


def _upgraded(raw: object) -> dict[str, object]:
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or type(schema) is not int or schema < 1:
        raise ValueError(f"no effbench record (schema: {schema})")
    if schema > SCHEMA:
        raise ValueError(
            f"written by a newer effbench (schema {schema}, this one reads up to {SCHEMA}); "
            "upgrade effbench"
        )
    for step in range(schema, SCHEMA):
        raw = _UPGRADES[step](raw)
    return raw
