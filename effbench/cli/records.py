"""The commands that check records, and that join those of several folders."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from effbench.cli.console import Display, err, say
from effbench.cli.interruption import interrupted
from effbench.cli.options import ResultsOption
from effbench.cli.results_folder import folder, send
from effbench.remote_folder import shown


def validate(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the records, or URL.", parser=folder)
    ] = Path("results"),
) -> None:
    """Check every record against its files, itself and the others."""
    from effbench.imagenet import imagenet_records
    from effbench.records.validate import ValidationResult, problems

    scored, damaged = imagenet_records.load(directory)
    validation = ValidationResult(0, ())
    # A folder without any record is no folder of records.
    if (directory / "runs").exists() or not (scored or damaged):
        with Display(err, 0, quiet=False, verbose=False) as display:
            validation = problems(directory, partial(display.step, str(directory)))
    for text in damaged:
        say(text, Text("wrong ", "red"))
    # Remarks are often the same for every record.
    remarks: dict[str, list[Path]] = {}
    for finding in validation.findings:
        if finding.remark:
            remarks.setdefault(finding.text, []).append(finding.path)
        else:
            say(f"{finding.path}: {finding.text}", Text("wrong ", "red"))
    for text, paths in remarks.items():
        more = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
        say(f"{paths[0]}: {text}{more}", "note  ")
    errors = validation.errors + len(damaged)
    records = validation.records + len(scored) + len(damaged)
    say(f"{records:,} record{'s' * (records != 1)}, {errors:,} problem{'s' * (errors != 1)}")
    if errors:
        raise typer.Exit(1)


@interrupted("each record is joined whole, or not yet; run it again to go on")
def merge(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Folders of records, or URLs.", metavar="DIR...", parser=folder),
    ],
    results: ResultsOption = Path("results"),
) -> None:
    """Join the records of several folders into one."""
    from effbench.imagenet import imagenet_records
    from effbench.records.merge import merge

    with Display(err, 0, quiet=False, verbose=False) as display:
        outcome, models = merge(sources, results, partial(display.step, "merge"))
    scored = imagenet_records.join(sources, results)
    send(results)
    if scored:
        say(f"{scored:,} new of ImageNet in {shown(results)}")
    say(
        f"{outcome.new:,} new, {outcome.equal:,} equal, {outcome.superseded:,} superseded "
        f"in {shown(results)}"
    )
    if outcome.superseded:
        say("of a run that is superseded, the failure that gave way and its log are not kept")
    say(f"models: {models.copied:,} copied, {models.missing:,} not there")
