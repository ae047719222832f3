"""How long a sweep will take, in words; and the limit that a user may set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from effbench.cli.durations import words
from effbench.errors import DataError
from effbench.tables import Column, Table

if TYPE_CHECKING:
    from effbench.sweep.needs.forecast import Forecast

_SMALL = "little to do, not measured"
_UNKNOWN = "unknown"


def line(forecast: Forecast, *, beside: bool = False) -> str:
    """One line about a sweep that starts; "" where nothing is known, or there is nothing to do.

    Args:
        forecast: how long it takes.
        beside: whether some runs are done beside others, in shares of the machine or elsewhere.
    """
    if not forecast.rows:
        return ""
    runs = f"{forecast.runs:,} run{'s' * (forecast.runs != 1)}{', one after another' * beside}"
    if forecast.seconds is not None:
        return f"about {words(forecast.seconds)} for {runs} (from {forecast.basis})"
    known = [row for row in forecast.rows if row.estimate.seconds is not None]
    if not known:
        return ""
    seconds = sum(row.estimate.seconds or 0.0 for row in known)
    count = sum(row.runs for row in known)
    return f"about {words(seconds)} for {count:,} of {runs} (from {forecast.basis})"


def table(forecast: Forecast) -> Table:
    """A row for each network and recipe, and one for all."""
    columns = (
        *(Column("Model", words=True), Column("Size"), Column("Recipe", words=True)),
        *(Column("runs"), Column("images", rank=1), Column("hours")),
        Column("from", words=True),
    )
    rows = [
        (
            *(row.variant, str(row.image_size), row.recipe, f"{row.runs:,}", f"{row.images:,}"),
            _hours(row.estimate.seconds),
            row.estimate.basis or (_SMALL if forecast.small else "nothing"),
        )
        for row in forecast.rows
    ]
    whole = ("all", "", "", f"{forecast.runs:,}", "", _hours(forecast.seconds), "")
    whose = f"; records are those of {forecast.device_name or 'this machine'}"
    return Table(f"As if one run came after another{whose}", columns, (*rows, whole))


def _hours(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{seconds / 3600:.2f}"


def check(forecast: Forecast, most: float) -> None:
    """Makes sure that a sweep takes no more than so many hours.

    Raises:
        DataError: it would, or nobody knows.
    """
    hint = "raise --max-hours, or give fewer --variants, --seeds or images (--limit)"
    if forecast.seconds is None:
        rule = f"--max-hours {most:g} needs an estimate"
        what = "nothing like these runs was measured, and they are not on this machine"
        raise DataError(rule, what, "leave --max-hours out; --dry-run shows what is known")
    if forecast.seconds > 3600 * most:
        raise DataError(f"a sweep takes no more than --max-hours {most:g}", line(forecast), hint)
