"""Several results directories become one: equal records are one record, different ones an error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import Timeout

from effbench.errors import DataError, EffbenchError, UsageError
from effbench.files import open_atomically
from effbench.progress import Report, Step, silent
from effbench.records import search_files
from effbench.records.integrity import examine
from effbench.records.record import Record, RunFailure, RunResult
from effbench.records.store import Store
from effbench.remote_folder import shown


@dataclass(frozen=True)
class RunFiles:
    """A record and the store that holds it."""

    record: Record
    store: Store

    @property
    def folder(self) -> Path:
        """The folder of the run's files."""
        return self.store.folder(self.record.spec.key)


@dataclass(frozen=True)
class MergeCounts:
    """What the records of the sources were.

    Attributes:
        new: records that were not known before.
        equal: records that were known before.
        superseded: records of another outcome than the one known before; of the two, a failure
            gave way.
    """

    new: int
    equal: int
    superseded: int


@dataclass(frozen=True)
class Models:
    """What became of the selected weights of the sources' finished runs.

    Attributes:
        copied: how many were brought from a source.
        missing: how many neither a source nor the directory has.
    """

    copied: int
    missing: int


def merge(
    sources: Sequence[Path], directory: Path, report: Report = silent
) -> tuple[MergeCounts, Models]:
    """Joins the runs of `sources` with those that are under `directory` already.

    Everything is checked before anything is written. A result wins over a failure, and the later
    of two failures over the earlier. With a record come its predictions, learning curve, log and
    model; a record that is there already gets those of them that it lacks. A merge that was
    interrupted can be run again. What one of them searched stays a search.

    Args:
        sources: results directories.
        directory: a results directory, which may be new.
        report: told of every record.

    Raises:
        UsageError: a source is the directory itself.
        DataError: a record is damaged, or two results of one run differ.
        EffbenchError: a source has no records, or a sweep is working on one of the runs.
        DiskError: the directory cannot be written.
    """
    for source in sources:
        if source.resolve() == directory.resolve():
            raise UsageError("a directory is merged into another", str(source), "see --results")
    there = _entries(directory, report)
    chosen = dict(there)
    given: dict[str, list[RunFiles]] = {}
    counts = dict.fromkeys(("new", "equal", "superseded"), 0)
    for source in sources:
        source_entries = _entries(source, report)
        if not source_entries:
            raise EffbenchError("no records to merge", shown(source), "name a results directory")
        for key, entry in source_entries.items():
            state, chosen[key] = _join(chosen.get(key), entry)
            counts[state] += 1
            given.setdefault(key, []).append(entry)
    target = Store(directory)
    for source in sources:
        search_files.keep(target, search_files.read(Store(source)).known)
    copied = missing = 0
    for done, (key, entries) in enumerate(given.items()):
        report(Step("copy", done, len(given), "records"))
        record = chosen[key].record
        givers = [entry.store for entry in entries if entry.record == record]
        before = there[key].record if key in there else None
        brought = _bring(target, record, givers, before)
        copied += target.model(key) in brought
        kept = bool(givers) and isinstance(record, RunResult) and not record.spec.folds
        missing += kept and not target.model(key).exists()
    return MergeCounts(**counts), Models(copied, missing)


def _entries(directory: Path, report: Report) -> dict[str, RunFiles]:
    """Every record under a directory, by key."""
    store = Store(directory)
    folders = store.folders()
    entries = {}
    for done, folder in enumerate(folders, 1):
        record, findings = examine(store, folder.name)
        for finding in findings:
            if not finding.remark:
                raise DataError(
                    shown(finding.path), finding.text, "mend it or delete the run's folder"
                )
        if record is not None:
            entries[folder.name] = RunFiles(record, store)
        report(Step(f"check {directory}", done, len(folders), "records"))
    return entries


def _join(old: RunFiles | None, new: RunFiles) -> tuple[str, RunFiles]:
    """How the new entry compares with the old one, and which of them stays."""
    if old is None:
        return "new", new
    if old.record == new.record:
        return "equal", old
    if isinstance(old.record, RunResult) and isinstance(new.record, RunResult):
        raise DataError(
            "two results of one run differ",
            f"{shown(old.folder)} and {shown(new.folder)}, {_difference(old.record, new.record)}",
            "delete one of them",
        )
    return "superseded", max(old, new, key=_rank)


def _rank(entry: RunFiles) -> tuple[bool, str]:
    record = entry.record
    return (False, record.started) if isinstance(record, RunFailure) else (True, "")


def _difference(one: Record, other: Record) -> str:
    """The first field in which two records differ, and both values."""
    flat, others = dict(_flat(asdict(one))), dict(_flat(asdict(other)))
    first = next(where for where in flat | others if flat.get(where) != others.get(where))
    return f"{first} {flat.get(first)} and {others.get(first)}"


def _flat(value: object, where: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested dicts and tuples, each with its path."""
    if not isinstance(value, dict | tuple):
        yield where, value
        return
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(inner, f"{where}.{name}" if where else str(name))


def _bring(
    target: Store, record: Record, givers: Sequence[Store], before: Record | None
) -> set[Path]:
    """Copies what the target lacks of a run, in the order in which a worker writes it.

    Args:
        target: the store to copy to.
        record: the record that the target shall hold.
        givers: stores with the same record; of two that have a file, the first gives it.
        before: the record that the target holds now, or None.

    Returns:
        The files that were copied, without the record.
    """
    new = record != before
    copies: dict[Path, Path] = {}
    for giver in givers:
        for source, path in zip(giver.beside(record), target.beside(record), strict=True):
            if source.exists() and path not in copies and (new or not path.exists()):
                copies[path] = source
    if not (new or copies):
        return set()
    key = record.spec.key
    try:
        with target.lock(record.spec.worker).take():
            if target.read(key) != before:
                raise DataError("changed meanwhile", str(target.folder(key)), "merge again")
            for path, source in copies.items():
                with source.open("rb") as content, open_atomically(path) as file:
                    shutil.copyfileobj(content, file)
            if new:
                target.save(record)
    except Timeout as error:
        raise EffbenchError("a sweep is at this run", key, "merge again when it is done") from error
    return set(copies)
