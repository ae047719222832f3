"""Records on disk: results/runs/<key>/record.json with its predictions, or failure.json.

A record is one file that appears by rename, so it is whole or not there, whatever is killed when.
"""

from __future__ import annotations

import csv
import io
import os
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from effbench import leases, remote_folder
from effbench.errors import DataError, EffbenchError, UsageError
from effbench.files import (
    open_atomically,
    publish,
    scratch_file,
    sha256,
    write_atomically,
    write_once,
    writer,
    writing,
)
from effbench.leases import Lease
from effbench.records import prediction_arrays
from effbench.records.l2_search import L2Value
from effbench.records.prediction_arrays import Predictions
from effbench.records.record import Record, RunFailure, RunResult, Turn
from effbench.records.schema import CHANGED, intact, read_failure, read_result, to_json
from effbench.records.scores import Epoch

RECORD = "record.json"
FAILURE = "failure.json"
# The learning curve for other tools, beside the record that holds it too.
HISTORY = "history.csv"
_SPLITS = ("train", "validation", "test")
_CURVE = ("loss", "accuracy", "top5_accuracy")
# What a failed worker printed, beside its failure.
LOG = "worker.log"

# How the names of the folders of a retry's checkpoints begin.
_RETRIED = "micro-batches-of-"

# How many keys an error lists.
LISTED = 10
_REPAIR = "run it again, or delete the folder"

# What the libraries that read an archive raise if it is damaged or holds something else.
_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Records:
    """What a results directory holds; `problems` names each file that could not be read."""

    results: tuple[RunResult, ...]
    failures: tuple[RunFailure, ...]
    problems: tuple[str, ...]


def predictions_name(digest: str) -> str:
    """The file name of predictions with this sha256: other predictions never overwrite them."""
    return f"predictions-{digest[:12]}.npz"


class Store:
    """The records under one results directory."""

    def __init__(self, directory: Path) -> None:
        """Reads and writes nothing yet."""
        self.directory = directory
        self._runs = directory / "runs"
        self._leases: dict[str, Lease] = {}

    def prepare(self) -> None:
        """Makes sure that records can be kept here.

        Raises:
            DiskError: they cannot.
        """
        probe = self.directory / ".locks" / f"probe-{writer()}"
        write_atomically(probe, b"")
        probe.unlink(missing_ok=True)

    def lock(self, name: str) -> Lease:
        """A lease that ends with the process that holds it, `kill -9` included.

        Of a process on another machine it ends once it was seen, by the very lease that is
        returned here, to be silent for its time.
        """
        with writing(self.directory):
            (self.directory / ".locks").mkdir(parents=True, exist_ok=True)
        if name not in self._leases:
            self._leases[name] = leases.lease(self.lease(name))
        return self._leases[name]

    def lease(self, name: str) -> Path:
        """The file of that lease, which is there while somebody holds it."""
        return self.directory / ".locks" / f"{name}.lease"

    def folder(self, key: str) -> Path:
        """Where the files of one run lie."""
        return self._runs / key

    def checkpoints(self, key: str, micro_batch: int | None = None) -> Path:
        """Where the checkpoints of one run lie.

        Args:
            key: the key of the run.
            micro_batch: the micro-batch of a retry in smaller ones than the run asked for. A retry
                begins anew, because BatchNorm sees fewer images at once. It keeps checkpoints of
                its own, in a folder within that of the run's checkpoints.
        """
        folder = self.directory / ".checkpoints" / key
        return folder if micro_batch is None else folder / f"{_RETRIED}{micro_batch}"

    def retried_micro_batch(self, key: str) -> int | None:
        """The smallest micro-batch of which a retry has saved a checkpoint; None if none has."""
        saved = self.checkpoints(key).glob(f"{_RETRIED}*/step-*")
        return min((int(path.parent.name.removeprefix(_RETRIED)) for path in saved), default=None)

    def path(self, record: Record) -> Path:
        """Where a record is written."""
        name = RECORD if isinstance(record, RunResult) else FAILURE
        return self.folder(record.spec.key) / name

    def folders(self) -> list[Path]:
        """The folders of all runs, in the order of their keys; some may hold no record."""
        try:
            with os.scandir(self._runs) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [self._runs / name for name in names]

    def read(self, key: str, *, checked: bool = False) -> Record | None:
        """The record of a run: its result, or else its failure; None where there is neither.

        Args:
            key: the key of the run.
            checked: whether to refuse a record that was changed since it was written.

        Raises:
            ValueError: one line that says why it cannot be read.
        """
        folder = self.folder(key)
        path = folder / RECORD
        if path.exists():
            return read_result(path, checked=checked)
        path = folder / FAILURE
        return read_failure(path, checked=checked) if path.exists() else None

    def find(self, part: str) -> Record:
        """The record whose key holds `part`.

        Raises:
            UsageError: there is none, or more than one.
            EffbenchError: there are no records, or the one that matches cannot be read.
        """
        keys = [folder.name for folder in self.folders()]
        if not keys:
            raise EffbenchError(
                "no runs to show", remote_folder.shown(self.directory), "run 'effbench sweep' first"
            )
        matches = [part] if part in keys else [key for key in keys if part in key]
        if not matches:
            closest = ", ".join(get_close_matches(part, keys, cutoff=0))
            raise UsageError("no key of a run holds this", part, f"the closest: {closest}")
        if len(matches) > 1:
            more = f" and {len(matches) - LISTED} more" if len(matches) > LISTED else ""
            listed = f"{', '.join(matches[:LISTED])}{more}"
            raise UsageError(f"{len(matches)} runs have this in their key", part, listed)
        folder = self.folder(matches[0])
        try:
            record = self.read(folder.name)
        except ValueError as error:
            raise EffbenchError("cannot read the record", f"{folder}: {error}", _REPAIR) from error
        if record is None:
            raise EffbenchError("no record in the run's folder", str(folder), _REPAIR)
        return record

    def finished(self, key: str) -> bool:
        """Whether a readable record of a finished run is there, predictions included."""
        try:
            result = read_result(self.folder(key) / RECORD)
        except ValueError:
            return False
        return (self.folder(key) / result.predictions.file).is_file()

    def doubt(self, key: str) -> str:
        """Why a finished run's record, which is left as it is, is in doubt; "" if it is not.

        Whoever changed it may want it back, so only --force replaces it.
        """
        if intact(self.folder(key) / RECORD) is not False:
            return ""
        return f"the record was {CHANGED}; no report shows it, and --force repeats the run"

    def failure(self, key: str) -> RunFailure | None:
        """Why the last try of this run failed; None if it did not, or nothing readable says so."""
        if self.finished(key):
            return None
        try:
            return read_failure(self.folder(key) / FAILURE)
        except ValueError:
            return None

    def resumed(self, key: str) -> bool:
        """Whether a run that failed was tried again, and has saved a checkpoint since."""
        failure = self.folder(key) / FAILURE
        return failure.exists() and self.last_saved(key) > failure.stat().st_mtime

    def last_saved(self, key: str) -> float:
        """`time.time()` of a run's newest checkpoint, by the folder's clock; 0 where none is."""
        times = [path.stat().st_mtime for path in self.checkpoints(key).rglob("step-*")]
        return max(times, default=0.0)

    def predictions(
        self,
        result: RunResult,
        *names: str,
        optional: Collection[str] = (),
        content: bytes | None = None,
    ) -> dict[str, np.ndarray]:
        """The named arrays of a file of predictions, or all; only what is named is decompressed.

        Args:
            result: the run; the named arrays are of the epoch that it reports.
            names: arrays that every run has; none for all arrays there are, as they are called.
            optional: arrays that are read where they are there.
            content: of the file, where it was read already.

        Raises:
            DataError: the file, or one of the arrays, is missing or cannot be read.
        """
        path = self.folder(result.spec.key) / result.predictions.file
        try:
            arrays = {name: result.array(name) for name in names}
            return prediction_arrays.read(content or path.read_bytes(), arrays, optional)
        except _UNREADABLE as error:
            raise DataError(
                "cannot read predictions", f"{path}: {error}", "run 'effbench validate'"
            ) from error

    def save_predictions(
        self, key: str, arrays: Mapping[str, np.ndarray], epochs: Iterable[int] = ()
    ) -> Predictions:
        """Writes a compressed .npz named by its content.

        Args:
            key: the key of the run.
            arrays: those of `prediction_arrays.Predictions`.
            epochs: the epochs that they are of.

        Raises:
            DiskError: it cannot be written.
        """
        folder = self.folder(key)
        with scratch_file(folder / f".predictions.{writer()}.tmp") as file:
            np.savez_compressed(file, **arrays)
            digest = sha256(file)
            publish(file, folder / predictions_name(digest))
        return Predictions(predictions_name(digest), digest, tuple(sorted(epochs)))

    def save_history(
        self, key: str, history: Sequence[Epoch] | Sequence[L2Value] | Sequence[Turn]
    ) -> None:
        """Writes the learning curve as CSV: a row an epoch, losses in nats, accuracies 0 to 1.

        Where there are no epochs, it is a curve over L2, with a row for each; of a cross-validation
        there is a row for each turn.

        Raises:
            DiskError: it cannot be written.
        """
        text = io.StringIO()
        table = csv.writer(text)
        names = [field.name for field in fields(history[0])]
        splits = [name for name in names if name in _SPLITS]
        others = [name for name in names if name not in _SPLITS]
        table.writerow([*others, *(f"{split}_{name}" for split in splits for name in _CURVE)])
        for row in history:
            scores = [getattr(row, split) for split in splits]
            figures = [getattr(part, name) for part in scores for name in _CURVE]
            table.writerow([*(getattr(row, name) for name in others), *figures])
        write_atomically(self.folder(key) / HISTORY, text.getvalue().encode())

    def save_model(self, key: str, weights: Sequence[np.ndarray]) -> None:
        """Writes the selected weights, to be exported; not a record, and not kept in git.

        Raises:
            DiskError: they cannot be written.
        """
        with open_atomically(self.model(key)) as file:
            np.savez(file, *weights)

    def load_model(self, key: str) -> list[np.ndarray]:
        """What `save_model` wrote.

        Raises:
            DataError: it was not kept, or cannot be read.
        """
        path = self.model(key)
        shown = f"'effbench show {key} --rerun --results {self.directory}'"
        again = f"{shown} prints how to run it again; add --force to that"
        if not path.exists():
            raise DataError("the model of this run was not kept", f"no {path}", again)
        try:
            with np.load(path, allow_pickle=False) as archive:
                return [archive[f"arr_{index}"] for index in range(len(archive.files))]
        except _UNREADABLE as error:
            raise DataError("cannot read the model of this run", f"{path}: {error}", again) from (
                error
            )

    def model(self, key: str) -> Path:
        """Where the selected weights of a run lie."""
        return self.directory / "models" / f"{key}.npz"

    def save(self, record: Record, *, first: bool = False) -> bool:
        """Writes a record; a result replaces an earlier failure, never the reverse.

        Args:
            record: what to write.
            first: whether a result that is there already, and can be read, stays: of two owners of
                a lease that was taken over, one writes.

        Returns:
            Whether it was written.

        Raises:
            DiskError: it cannot be written.
        """
        folder = self.folder(record.spec.key)
        if isinstance(record, RunFailure):
            if self.finished(record.spec.key):
                return False
            write_atomically(self.path(record), to_json(record))
            return True
        if first and not write_once(self.path(record), to_json(record)):
            if self.finished(record.spec.key):
                return False
            first = False
        if not first:
            write_atomically(self.path(record), to_json(record))
        stale = {FAILURE, LOG}
        for path in folder.iterdir():
            other = path.suffix == ".npz" and path.name != record.predictions.file
            if path.name in stale or other:
                path.unlink(missing_ok=True)
        return True

    def beside(self, record: Record) -> tuple[Path, ...]:
        """Where the other files of a run lie, in the order in which a worker writes them."""
        folder = self.folder(record.spec.key)
        if isinstance(record, RunFailure):
            return (folder / HISTORY, *([folder / record.log] if record.log else []))
        return (folder / record.predictions.file, self.model(record.spec.key), folder / HISTORY)

    def load(self, *, checked: bool = False) -> Records:
        """Every record under this directory, in the order of their keys.

        Args:
            checked: whether a record that was changed since it was written is a problem too.
        """
        records: list[Record | None] = []
        problems: list[str] = []
        for folder in self.folders():
            try:
                records.append(self.read(folder.name, checked=checked))
            except ValueError as error:
                problems.append(f"{folder}: {error}")
        results = tuple(record for record in records if isinstance(record, RunResult))
        failures = tuple(record for record in records if isinstance(record, RunFailure))
        return Records(results, failures, tuple(problems))
