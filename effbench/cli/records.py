"""The commands about records: one of them, all of them, those of several places."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from effbench.cli.console import Display, err, say
from effbench.cli.interruption import interrupted
from effbench.cli.options import ResultsOption


def validate(
    directory: Annotated[Path, typer.Argument(help="Folder of the records.")] = Path("results"),
) -> None:
    """Check every record against its files, itself and the others."""
    from effbench.records import validate as validating

    with Display(err, 0, quiet=False, verbose=False) as display:
        found = validating.problems(directory, partial(display.step, str(directory)))
    # Remarks are often the same for every record.
    remarks: dict[str, list[Path]] = {}
    for each in found.findings:
        if each.remark:
            remarks.setdefault(each.text, []).append(each.path)
        else:
            say(f"{each.path}: {each.text}", Text("wrong ", "red"))
    for text, paths in remarks.items():
        more = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
        say(f"{paths[0]}: {text}{more}", "note  ")
    say(f"{found.records:,} records, {found.errors:,} problems")
    if found.errors:
        raise typer.Exit(1)


@interrupted("each record is joined whole, or not yet; run it again to go on")
def merge(
    sources: Annotated[list[Path], typer.Argument(help="Folders of records.", metavar="DIR...")],
    results: ResultsOption = Path("results"),
) -> None:
    """Join the records of several folders into one."""
    from effbench.records import merge as merging

    with Display(err, 0, quiet=False, verbose=False) as display:
        outcome, models = merging.merge(sources, results, partial(display.step, "merge"))
    say(
        f"{outcome.new:,} new, {outcome.equal:,} equal, {outcome.superseded:,} superseded "
        f"in {results}"
    )
    say(f"models: {models.copied:,} copied, {models.missing:,} not there")
