"""How long a report of many runs takes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from effbench import subprocesses
from effbench.bench.comparisons import TimingComparison
from effbench.bench.work_timing import Timing
from effbench.errors import EffbenchError
from effbench.records.record import RunResult
from effbench.records.store import Store


def report(results: Path, runs: int, rounds: int) -> TimingComparison:
    """Times the report of `runs` copies of the runs in `results`, and that of `results` itself.

    The copies have seeds that no run of `results` has.

    Raises:
        EffbenchError: there is no run to copy, or no report comes out.
    """
    source = Store(results)
    records = source.load().results
    if not records:
        raise EffbenchError("no finished runs to copy", str(results), "name others with --results")
    with tempfile.TemporaryDirectory() as folder:
        many = Store(Path(folder))
        for number in range(runs):
            # Seeds that none of them has, so that no two copies are one run.
            _copy(source, records[number % len(records)], many, 1_000_000 + number)
        timings = [
            Timing(f"report of {len(records):,} runs", _seconds(source, rounds)),
            Timing(f"report of {runs:,} runs", _seconds(many, rounds)),
        ]
    finding = (
        f"{runs:,} runs: {timings[1].seconds:.2f} s (at most 2 s), process and imports included"
    )
    return TimingComparison(tuple(timings), (finding,))


def _copy(source: Store, record: RunResult, target: Store, seed: int) -> None:
    copy = replace(record, spec=replace(record.spec, seed=seed))
    folder = target.folder(copy.spec.key)
    folder.mkdir(parents=True)
    shutil.copy(source.folder(record.spec.key) / record.predictions.file, folder)
    target.save(copy)


def _seconds(store: Store, rounds: int) -> float:
    """The seconds of the fastest of some rounds."""
    command = ("report", "--results", str(store.directory))
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        with subprocesses.start("effbench.cli.main", os.environ, arguments=command) as child:
            lines = sum(1 for _ in iter(child.hear, b""))
            code = child.wait()
            times.append(time.perf_counter() - started)
            if code or not lines:
                said = subprocesses.ended(code, child.printed())
                raise EffbenchError("a report must come out", said, "report this as a bug")
    return min(times)
