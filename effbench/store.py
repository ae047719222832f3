"""Records on disk: results/runs/<key>/record.json with its predictions, or failure.json.

A record is one file that appears by rename, so it is whole or not there, whatever is killed when.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from effbench.errors import one_line, writing
from effbench.runs import SCHEMA, Predictions, RunFailure, RunResult
from effbench.variants import VARIANTS

Record = TypeVar("Record", RunResult, RunFailure)

# What a failed worker printed, beside its failure.
LOG = "worker.log"

_RESULT = TypeAdapter(RunResult)
_FAILURE = TypeAdapter(RunFailure)


@dataclass(frozen=True)
class Records:
    """What a results directory holds; `problems` names each file that could not be read."""

    results: tuple[RunResult, ...]
    failures: tuple[RunFailure, ...]
    problems: tuple[str, ...]


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that is whole or absent, and durable once this returns.

    Raises:
        DiskError: it cannot be written; nothing is left behind.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path.parent):
        if path.exists() and not (path.is_file() or path.is_dir()):  # /dev/stdout stays what it is
            path.write_bytes(content)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _sync(folder: Path) -> None:
    """Makes a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(record: RunResult | RunFailure) -> bytes:
    """A record as indented JSON."""
    adapter = _RESULT if isinstance(record, RunResult) else _FAILURE
    return adapter.dump_json(record, indent=1) + b"\n"  # type: ignore[arg-type]


class Store:
    """The records under one results directory."""

    def __init__(self, directory: Path) -> None:
        """Nothing is read or written yet."""
        self.directory = directory

    def prepare(self) -> None:
        """Makes sure that records can be kept here.

        Raises:
            DiskError: they cannot.
        """
        probe = self.directory / ".locks" / f"probe-{os.getpid()}"
        write_atomically(probe, b"")
        probe.unlink(missing_ok=True)

    def lock(self, name: str) -> FileLock:
        """A lock that ends with the process that holds it, `kill -9` included."""
        with writing(self.directory):
            (self.directory / ".locks").mkdir(parents=True, exist_ok=True)
        return FileLock(self.directory / ".locks" / f"{name}.lock")

    def folder(self, key: str) -> Path:
        """Where the files of one run lie."""
        return self.directory / "runs" / key

    def finished(self, key: str) -> bool:
        """Whether a readable record of a finished run is there, predictions included."""
        path = self.folder(key) / "record.json"
        try:
            result = _load(_RESULT, path)
        except (OSError, ValueError, RecursionError):
            return False
        return (path.parent / result.predictions.file).is_file()

    def failure(self, key: str) -> RunFailure | None:
        """Why the last try of this run failed; None if it did not, or nothing readable says so."""
        if self.finished(key):
            return None
        try:
            return _load(_FAILURE, self.folder(key) / "failure.json")
        except (OSError, ValueError, RecursionError):
            return None

    def save_predictions(self, key: str, arrays: Mapping[str, np.ndarray]) -> Predictions:
        """Writes a compressed .npz named by its content, so that no record loses its own.

        Raises:
            DiskError: it cannot be written.
        """
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        saved = Predictions(f"predictions-{sha256[:12]}.npz", sha256)
        write_atomically(self.folder(key) / saved.file, buffer.getvalue())
        return saved

    def save(self, record: RunResult | RunFailure) -> None:
        """Writes a record; a result replaces an earlier failure, never the reverse.

        Raises:
            DiskError: it cannot be written.
        """
        folder = self.folder(record.spec.key)
        if isinstance(record, RunFailure):
            if not self.finished(record.spec.key):
                write_atomically(folder / "failure.json", to_json(record))
            return
        write_atomically(folder / "record.json", to_json(record))
        stale = {"failure.json", LOG}
        for path in folder.iterdir():
            other = path.suffix == ".npz" and path.name != record.predictions.file
            if path.name in stale or other:
                path.unlink(missing_ok=True)

    def load(self) -> Records:
        """Every record under this directory, in the order of their keys."""
        results: list[RunResult] = []
        failures: list[RunFailure] = []
        problems: list[str] = []
        for folder in sorted(path for path in self.directory.glob("runs/*") if path.is_dir()):
            try:
                if (folder / "record.json").exists():
                    results.append(_load(_RESULT, folder / "record.json"))
                elif (folder / "failure.json").exists():
                    failures.append(_load(_FAILURE, folder / "failure.json"))
            except (OSError, ValueError, RecursionError) as error:
                problems.append(f"{folder}: {_one_line(error)}")
        return Records(tuple(results), tuple(failures), tuple(problems))


def _load(adapter: TypeAdapter[Record], path: Path) -> Record:
    raw = json.loads(path.read_bytes())
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise ValueError(f"no effbench record of schema {SCHEMA} (schema: {schema})")
    record = adapter.validate_python(raw)
    if record.spec.key != path.parent.name:
        raise ValueError(f"the record's key is {record.spec.key}, not its folder's name")
    if record.spec.variant not in VARIANTS:
        raise ValueError(f"unknown variant: {record.spec.variant}")
    if isinstance(record, RunResult):
        rule = record.spec.recipe.selection
        if rule not in {row.rule for row in record.selected}:
            raise ValueError(f"no epoch selected by {rule}")
    return record


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return one_line(str(error))
