"""Which runs are exported where nobody names one, and where to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from effbench.config import variants as table
from effbench.data.inspecting.listing import some
from effbench.errors import EffbenchError, UsageError
from effbench.records.record import Record, RunResult
from effbench.records.store import Store


def chosen(
    store: Store, every: bool, variants: str | None, data_sha256: str | None = None
) -> list[RunResult]:
    """All finished runs with a model, or the most accurate on validation: of all, or of variants.

    Accuracies on other data are not compared: of each data set there is a best one; nor are those
    on a part of its images with those on more.

    Args:
        store: of the runs.
        every: whether all are meant.
        variants: names of the variants of which the best run is meant; None for the best of all.
        data_sha256: the data that runs are of; None for any.

    Raises:
        EffbenchError: there is none.
        UsageError: there is no such variant.
    """
    runs = [
        run
        for run in store.load().results
        if not run.spec.folds and data_sha256 in (None, run.spec.data_sha256)
    ]
    names = [variant.name for variant in table.select(variants)] if variants else []
    groups = [[run for run in runs if run.spec.variant == name] for name in names] or [runs]
    missing = [name for name, group in zip(names, groups, strict=False) if not group]
    if missing or not runs:
        what = f"none of {', '.join(missing)}" if missing else "none"
        data = f" of the data with sha256 {data_sha256[:12]}" if data_sha256 else ""
        raise EffbenchError(
            f"there must be a finished run{data} in {store.directory}",
            what,
            "run 'effbench sweep' first",
        )
    return runs if every else [run for group in groups for run in _best(group)]


def _best(runs: Sequence[RunResult]) -> list[RunResult]:
    """The best run of each data set."""
    ordered = sorted(runs, key=_data)
    return [max(alike, key=_rank) for _, alike in groupby(ordered, _data)]


def _data(run: RunResult) -> tuple[str, str]:
    return run.spec.data, run.spec.data_sha256


def _rank(run: RunResult) -> tuple[int, float]:
    scores = run.reported.validation
    return scores.total, scores.accuracy


def destinations(
    records: Sequence[Record], ending: str, output: Path | None, hub: Path | None, named: bool
) -> list[Path]:
    """Where each model is to be: named by its run, but for one that has a name.

    A folder that is there is no name of a model that is a file.

    Args:
        records: of the runs.
        ending: what follows a run's key in the name, see `orders.name_ending`.
        output: what was asked for: the model, or the folder of models.
        hub: the folder for the Hub, if it is for one.
        named: whether somebody named the run by its key.

    Raises:
        UsageError: one name is for several runs.
    """
    suffix = Path(f"KEY{ending}").suffix
    file = bool(output and suffix and output.suffix == suffix)
    if (hub or (file and not named)) and len(records) > 1:
        raise UsageError(
            f"--to-hub-folder {hub} takes one run" if hub else f"--output {output} is of one run",
            some([record.spec.key for record in records]),
            "name one by its KEY, or with --data the data that --best is of",
        )
    if hub:
        return [hub / f"model{suffix}"]
    into = bool(output and suffix and output.is_dir()) and not file
    if output and (file or (named and not into)):
        return [output]
    return [(output or Path()) / f"{record.spec.key}{ending}" for record in records]
