"""Which runs a report is about, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

from effbench.config import variants
from effbench.config.run_spec import RunSpec
from effbench.errors import EffbenchError, UsageError
from effbench.report.rows import Row, tidy
from effbench.report.sections import GROUP_BY

if TYPE_CHECKING:
    import pandas as pd

# The columns that a table calls by a shorter name, by that name.
TITLES = {
    "Model": "variant",
    "Size": "image_size",
    "acc-val": "val_accuracy_mean",
    "top-5": "val_top5_accuracy_mean",
    "acc-test": "test_accuracy_mean",
    "weight": "weights",
    "GFLOPs": "gflops",
    "images/s": "images_per_second",
    "peak GB": "peak_memory_gb",
}


@dataclass(frozen=True)
class Selection:
    """Which runs, as the command line describes them; None is everything.

    Attributes:
        variants: comma-separated names, as `variants.select` takes them.
        recipes: comma-separated names.
        weights: comma-separated names of releases, or "none".
        data: comma-separated names of datasets.
        where: an expression over columns, e.g. "image_size <= 300 and seeds > 1".
        sort: comma-separated columns, those with a minus in front descending.
        group_by: comma-separated columns that all rows of a table share.
        rule: the rule of `scores.SELECTIONS` that chooses every run's epoch; None for the recipe's.
        tries: every value of a search has a row of its own, not the best alone.
    """

    variants: str = variants.EVERYTHING
    recipes: str | None = None
    weights: str | None = None
    data: str | None = None
    where: str | None = None
    sort: str | None = None
    group_by: str = ",".join(GROUP_BY)
    rule: str | None = None
    tries: bool = False

    def names(self, spec: RunSpec) -> bool:
        """Whether a run has one of the names.

        Raises:
            UsageError: an unknown variant.
        """
        return all(
            not wanted or name in wanted
            for wanted, name in zip(self._wanted, names_of(spec).values(), strict=True)
        )

    def check_names(self, specs: Iterable[RunSpec]) -> None:
        """Makes sure that each name is that of some run, or what was asked for would be missing.

        Raises:
            EffbenchError: some are not.
        """
        there = all_names(specs)
        for wanted, (flag, names) in zip(self._wanted, there.items(), strict=True):
            unknown = [name for name in wanted if name not in names]
            if unknown:
                raise EffbenchError(
                    f"no run has what --{flag} names",
                    ", ".join(unknown),
                    f"there are {', '.join(names)}",
                )

    @cached_property
    def _wanted(self) -> tuple[list[str], ...]:
        """The names that are wanted, split once and not for each of a thousand runs."""
        chosen = [row.name for row in variants.select(self.variants)]
        if len(chosen) == len(variants.VARIANTS):
            chosen = []
        return (chosen, split(self.recipes), split(self.weights), split(self.data))

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that `where` is true of, sorted.

        Raises:
            UsageError: `where`, `sort` or `group_by` do not make sense.
        """
        if not rows:
            return []
        known(self.group_by, rows[0].flat)
        if not (self.where or self.sort):
            return list(rows)
        frame = tidy(rows)
        if self.where:
            frame = frame[_mask(frame, self.where)]
        if self.sort:
            keys = split(self.sort)
            plain = [key.removeprefix("-") for key in keys]
            names = known(",".join(TITLES.get(key, key) for key in plain), frame.columns)
            _check_sortable(frame, names)
            up = [not key.startswith("-") for key in keys]
            frame = frame.sort_values(names, ascending=up, kind="stable")
        return [rows[index] for index in frame.index]


def names_of(spec: RunSpec) -> dict[str, str]:
    """The names of a run, by the flag that selects it."""
    return {
        "variants": spec.variant,
        "recipe": spec.recipe.name,
        "weights": spec.weights.name,
        "data": spec.data,
    }


def all_names(specs: Iterable[RunSpec]) -> dict[str, list[str]]:
    """The names of some runs, each once, by the flag that selects them."""
    rows = [names_of(spec) for spec in specs]
    return {flag: [*dict.fromkeys(row[flag] for row in rows)] for flag in rows[0]}


def split(text: str | None) -> list[str]:
    """The words between commas."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def known(text: str, columns: Iterable[str]) -> list[str]:
    """The columns named between commas.

    Raises:
        UsageError: there is no such column, or none is named.
    """
    existing = dict.fromkeys(columns)
    names = split(text)
    unknown = [name for name in names if name not in existing]
    if unknown or not names:
        received = ", ".join(unknown) or "an empty list"
        near = get_close_matches(" ".join(unknown), existing, n=6, cutoff=0)
        hint = f"the closest are {', '.join(near)}; 'effbench report --csv' names all"
        raise UsageError("no such column", received, hint)
    return names


def _check_sortable(frame: pd.DataFrame, names: Sequence[str]) -> None:
    empty = [name for name in names if frame[name].isna().all()]
    if not empty:
        return
    hint = "sort by another column; 'effbench report --csv' shows what each holds"
    if any(name.startswith("test_") for name in empty):
        hint = "there is no test split; sort by a column of validation, e.g. val_accuracy_mean"
    raise UsageError("no row has anything in a column to sort by", ", ".join(empty), hint)


def _mask(frame: pd.DataFrame, where: str) -> pd.Series[bool]:
    import pandas as pd

    try:
        # No names but the columns: an expression cannot reach variables of this program.
        mask = frame.eval(where, engine="python", local_dict={}, global_dict={})
    except Exception as error:  # whatever a wrong expression happens to hit
        reason = f"{where} ({type(error).__name__}: {error})"
        hint = "use columns that 'effbench report --csv' names, e.g. image_size <= 300"
        raise UsageError("--where is no expression over columns", reason, hint) from error
    if not (isinstance(mask, pd.Series) and mask.dtype == bool):
        raise UsageError("--where must be true or false", where, 'write e.g. "image_size <= 300"')
    return mask
