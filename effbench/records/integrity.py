"""Whether a run's files are all there, readable, and what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.errors import DataError
from effbench.records.consistency import of_ranks
from effbench.records.record import Record, RunFailure, RunResult
from effbench.records.schema import CHANGED, intact
from effbench.records.store import LOG, Store, predictions_name

# The arrays of a file of predictions that say which images were classified right, and those that
# say which belong together; only data with groups have these.
Ranks = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Finding:
    """Something wrong.

    Attributes:
        path: the file or folder that it is about.
        text: what is wrong.
        remark: whether no number depends on it.
        absent: whether something merely cannot be read; it casts no doubt on what can be.
    """

    path: Path
    text: str
    remark: bool = False
    absent: bool = False


def examine(store: Store, key: str) -> tuple[Record | None, list[Finding]]:
    """The record of a run, if it can be read, and what is wrong with its files."""
    try:
        record = store.read(key)
    except ValueError as error:
        return None, [Finding(store.folder(key), str(error))]
    if record is None:
        return None, []
    path = store.path(record)
    state = intact(path)
    findings = []
    if state is None:
        findings.append(Finding(path, "schema 1: no checksum", remark=True))
    elif not state:
        findings.append(Finding(path, CHANGED))
    if isinstance(record, RunFailure):
        return record, findings + _log(path, record)
    return record, findings + _predictions(path, record)[1]


def ranks(store: Store, result: RunResult) -> tuple[Ranks | None, list[Finding]]:
    """The ranks and groups of a run's predictions, where they can be read, and what is wrong.

    They are of the epoch that the run reports, and None where it has not kept these.

    With the record's checksum (`Store.load`), this is as much of `validate` as a report of a
    thousand runs can wait for.
    """
    path = store.path(result)
    content, findings = _predictions(path, result)
    if findings or not result.has_predictions:
        return None, findings
    try:
        ranks = (f"{split}_rank" for split in result.splits)
        groups = (f"{split}_group" for split in result.splits)
        arrays = store.predictions(result, *ranks, optional=tuple(groups), content=content)
    except DataError as error:
        return None, [Finding(path.parent / result.predictions.file, str(error), absent=True)]
    return arrays, [Finding(path, line) for line in of_ranks(result, arrays)]


def _predictions(path: Path, result: RunResult) -> tuple[bytes, list[Finding]]:
    """What is in the file of predictions, if it can be read, and what is wrong with it."""
    named = result.predictions
    if named.file != predictions_name(named.sha256):
        expected = predictions_name(named.sha256)
        return b"", [Finding(path, f"predictions.file: expected {expected}, found {named.file}")]
    file = path.parent / named.file
    try:
        content = file.read_bytes()
    except OSError as error:
        text = f"cannot read the predictions: {error.strerror}"
        return b"", [Finding(file, text, absent=True)]
    digest = hashlib.sha256(content).hexdigest()
    if digest != named.sha256:
        return content, [Finding(file, f"not the run's predictions: sha256 {digest}")]
    return content, []


def _log(path: Path, failure: RunFailure) -> list[Finding]:
    if failure.log not in ("", LOG):
        return [Finding(path, f"log: expected {LOG}, found {failure.log}")]
    if failure.log and not (path.parent / LOG).is_file():
        # Git keeps no logs, so a checkout has none.
        return [Finding(path.parent / LOG, "the failed worker's output is not here", remark=True)]
    return []
