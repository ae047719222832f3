"""Several results directories become one: equal records are one record, different ones an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import Timeout

from effbench.errors import DataError, EffbenchError, UsageError
from effbench.files import write_atomically
from effbench.progress import Report, Step, silent
from effbench.records.integrity import examine
from effbench.records.record import Record, RunFailure, RunResult
from effbench.records.store import Store


@dataclass(frozen=True)
class Entry:
    """A record and the folder of its files."""

    record: Record
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What the records of the sources were.

    Attributes:
        new: not known before.
        equal: known before.
        superseded: of another outcome; a failure gave way, theirs or the one before.
    """

    new: int
    equal: int
    superseded: int


def merge(sources: Sequence[Path], directory: Path, report: Report = silent) -> Outcome:
    """Joins the records of `sources` with those that are under `directory` already.

    Everything is checked before anything is written. A result wins over a failure, and the later
    of two failures over the earlier. Interrupted, it can be run again.

    Args:
        sources: results directories.
        directory: of results, may be new.
        report: told of every record.

    Raises:
        UsageError: a source is the directory itself.
        DataError: a record is damaged, or two results of one run differ.
        EffbenchError: a source has no records, or a sweep is at one of the runs.
        DiskError: the directory cannot be written.
    """
    for source in sources:
        if source.resolve() == directory.resolve():
            raise UsageError("a directory is merged into another", str(source), "see --results")
    there = _entries(directory, report)
    chosen = dict(there)
    counts = dict.fromkeys(("new", "equal", "superseded"), 0)
    for source in sources:
        found = _entries(source, report)
        if not found:
            raise EffbenchError("no records to merge", str(source), "name a results directory")
        for key, entry in found.items():
            state, chosen[key] = _join(chosen.get(key), entry)
            counts[state] += 1
    writes = {key: entry for key, entry in chosen.items() if entry is not there.get(key)}
    for done, (key, entry) in enumerate(writes.items()):
        report(Step("copy", done, len(writes), "records"))
        _write(Store(directory), entry, there.get(key))
    return Outcome(**counts)


def _entries(directory: Path, report: Report) -> dict[str, Entry]:
    """Every record under a directory, by key."""
    store = Store(directory)
    folders = store.folders()
    entries = {}
    for done, folder in enumerate(folders, 1):
        record, findings = examine(store, folder.name)
        for each in findings:
            if not each.remark:
                raise DataError(str(each.path), each.text, "mend it or delete the run's folder")
        if record is not None:
            entries[folder.name] = Entry(record, folder)
        report(Step(f"check {directory}", done, len(folders), "records"))
    return entries


def _join(old: Entry | None, new: Entry) -> tuple[str, Entry]:
    """What the new entry is to the old one, and which of them stays."""
    if old is None:
        return "new", new
    if old.record == new.record:
        return "equal", old
    if isinstance(old.record, RunResult) and isinstance(new.record, RunResult):
        raise DataError(
            "two results of one run differ",
            f"{old.folder} and {new.folder}, {_difference(old.record, new.record)}",
            "delete one of them",
        )
    return "superseded", max(old, new, key=_rank)


def _rank(entry: Entry) -> tuple[bool, str]:
    record = entry.record
    return (False, record.started) if isinstance(record, RunFailure) else (True, "")


def _difference(one: Record, other: Record) -> str:
    """Where two records differ first."""
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


def _write(target: Store, entry: Entry, before: Entry | None) -> None:
    """Copies the files of a record in the order in which a worker writes them."""
    record = entry.record
    key = record.spec.key
    beside = record.log if isinstance(record, RunFailure) else record.predictions.file
    try:
        with target.lock(record.spec.group).acquire(timeout=0):
            if target.read(key) != (before.record if before else None):
                raise DataError("changed meanwhile", str(target.folder(key)), "merge again")
            if beside and (entry.folder / beside).exists():  # a log may not be kept
                content = (entry.folder / beside).read_bytes()
                write_atomically(target.folder(key) / beside, content)
            target.save(record)
    except Timeout as error:
        raise EffbenchError("a sweep is at this run", key, "merge again when it is done") from error
