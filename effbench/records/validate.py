"""Every record under a directory, checked against its files, itself and the others."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from effbench import remote_folder
from effbench.errors import DataError, EffbenchError
from effbench.progress import Report, Step, silent
from effbench.records import search_files
from effbench.records.consistency import of_predictions, of_record
from effbench.records.integrity import Finding, examine
from effbench.records.record import Record, RunResult
from effbench.records.store import FAILURE, HISTORY, RECORD, Store

# The arrays of each split that must be equal in all runs with the same data and limit.
_SAME = ("index", "label", "group")
# By data, what they were limited to and folds: the first file of predictions, and the hash of its
# images and labels.
_Seen = dict[tuple[str, str, int], tuple[Path, str]]


@dataclass(frozen=True)
class ValidationResult:
    """How many runs have a record, and what is wrong under the directory."""

    records: int
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are more than remarks."""
        return sum(not finding.remark for finding in self.findings)


def problems(directory: Path, report: Report = silent) -> ValidationResult:
    """Checks whatever can be checked without training again.

    Args:
        directory: a results directory.
        report: told of every record.

    Raises:
        EffbenchError: there is no record at all.
    """
    store = Store(directory)
    folders = store.folders()
    findings = [
        Finding(path, "no folder of a run", remark=True)
        for path in sorted(directory.glob("runs/*"))
        if not path.is_dir()
    ]
    findings += [Finding(path, text) for path, text in search_files.read(store).problems.items()]
    records = 0
    seen: _Seen = {}
    for done, folder in enumerate(folders):
        report(Step("check", done, len(folders), "records"))
        record, run_findings = examine(store, folder.name)
        records += bool(record or run_findings)
        if isinstance(record, RunResult):
            whole = all(finding.remark or finding.path.suffix != ".npz" for finding in run_findings)
            run_findings += [Finding(folder / RECORD, line) for line in of_record(record)]
            run_findings += _predictions(store, record, seen) if whole else []
        findings += run_findings
        if record or not run_findings:
            findings += _litter(folder, record)
    if not records and all(finding.remark for finding in findings):
        raise EffbenchError(
            "no records to validate", remote_folder.shown(directory), "name a results directory"
        )
    report(Step("check", len(folders), len(folders), "records"))
    return ValidationResult(records, tuple(findings))


def _predictions(store: Store, result: RunResult, seen: _Seen) -> list[Finding]:
    """What is wrong with a run's predictions, which are added to what has been seen."""
    path = store.folder(result.spec.key) / result.predictions.file
    try:
        arrays = store.predictions(result)
    except DataError as error:
        return [Finding(path, str(error))]
    findings = [Finding(path, line) for line in of_predictions(result, arrays)]
    if not findings:
        names = [f"{split}_{name}" for split in result.splits for name in _SAME]
        held = (arrays[name].tobytes() for name in names if name in arrays)
        images = sha256(b"".join(held)).hexdigest()
        spec = result.spec
        data = (spec.data_sha256, spec.fewer, spec.folds)
        other, others = seen.setdefault(data, (path, images))
        if others != images:
            findings.append(
                Finding(path, f"other images or labels of the same data than in {other}")
            )
    return findings


def _litter(folder: Path, record: Record | None) -> list[Finding]:
    """Files that no record names."""
    files = sorted(folder.iterdir())
    if record is None:
        whole = ", ".join(path.name for path in files if path.suffix != ".tmp")
        text = f"no record beside {whole}" if whole else "no record"
        return [Finding(folder, f"{text}; run it again or delete it", remark=not whole)]
    named = (
        (RECORD, HISTORY, record.predictions.file)
        if isinstance(record, RunResult)
        else (FAILURE, HISTORY, record.log)
    )
    return [
        Finding(path, "an interrupted write" if path.suffix == ".tmp" else "unknown", remark=True)
        for path in files
        if path.name not in named
    ]
