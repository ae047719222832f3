"""Which runs are exported where nobody names one, and where to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from effbench.config import variants as table
from effbench.errors import EffbenchError
from effbench.records.record import Record, RunResult
from effbench.records.store import Store


def chosen(store: Store, every: bool, variants: str | None) -> list[RunResult]:
    """All finished runs with a model, or the most accurate on validation: of all, or of variants.

    Args:
        store: of the runs.
        every: whether all are meant.
        variants: names of the variants of which the best run is meant; None for the best of all.

    Raises:
        EffbenchError: there is none.
        UsageError: there is no such variant.
    """
    runs = [run for run in store.load().results if not run.spec.folds]
    names = [variant.name for variant in table.select(variants)] if variants else []
    groups = [[run for run in runs if run.spec.variant == name] for name in names] or [runs]
    missing = [name for name, group in zip(names, groups, strict=False) if not group]
    if missing or not runs:
        what = f"none of {', '.join(missing)}" if missing else "none"
        raise EffbenchError(
            f"there must be a finished run in {store.directory}", what, "run 'effbench sweep' first"
        )
    if every:
        return runs
    return [
        max(group, key=lambda run: run.reported.validation.accuracy) for group in groups if group
    ]


def destinations(
    records: Sequence[Record], suffix: str, output: Path | None, hub: Path | None, several: bool
) -> list[Path]:
    """Where each model is to be: named by its run, but for one that has a name.

    Args:
        records: of the runs.
        suffix: of the format.
        output: what was asked for; of several runs, their folder.
        hub: the folder for the Hub, if it is for one.
        several: whether there may be several.
    """
    if hub:
        return [hub / f"model{suffix}"]
    if output and not several:
        return [output]
    return [(output or Path()) / f"{record.spec.key}{suffix}" for record in records]
