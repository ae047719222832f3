"""The command that looks at people's own images before hours are spent on them."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from effbench.cli.console import Display, err, left_out, notes, say, show
from effbench.cli.interruption import interrupted
from effbench.errors import DataError, UsageError
from effbench.tables import Column, Table, comma_separated

if TYPE_CHECKING:
    from effbench.data.inspecting.inspection import Inspected


@interrupted("what was looked at by then is kept; run it again to go on")
def data(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of <class>/* or <split>/<class>/*, or a CSV of file_name,label.",
        ),
    ],
    near: Annotated[
        bool, typer.Option("--near", help="Find images that look the same, too.")
    ] = False,
    montage: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Write a picture with nine images of each class: a .png, .jpg or .webp.",
        ),
    ] = None,
    write_split: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the splits as a CSV.")
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every name.")] = False,
) -> None:
    """Check images of your own: counts, sizes, unreadable files, duplicates, splits.

    The exit code is 1 where a sweep would refuse them.
    """
    from effbench.data.datasets import DATASETS
    from effbench.data.inspecting import inspection
    from effbench.data.inspecting.montage import format_of
    from effbench.files import refuse_to_replace

    if str(source) in DATASETS and not source.exists():
        raise UsageError(
            "a dataset with a name needs no look: its files have published checksums",
            str(source),
            f"'effbench sweep --data {source}' trains on it; give a folder or a CSV of your own",
        )
    style = format_of(montage) if montage else ""
    for written in filter(None, (montage, write_split)):
        refuse_to_replace(written)
    with Display(err, 0, quiet=False, verbose=False) as display:
        inspected = inspection.inspect(
            source, partial(display.step, "data"), near=near, skip_unreadable=skip_unreadable
        )
    if as_json:
        print(json.dumps(asdict(inspected.inspection), indent=1))
    else:
        _print(inspected)
    if montage:
        _write_montage(inspected, montage, style)
    if write_split:
        _write_split(inspected, write_split)
    if inspected.inspection.refused:
        raise typer.Exit(1)


def _print(inspected: Inspected) -> None:
    from effbench.data.inspecting import inspection_tables

    hidden = []
    for table in inspection_tables.tables(inspected.inspection):
        hidden += show(table)
        say("")
    left_out(hidden)
    notes(inspection_tables.notes(inspected.inspection))
    for problem in inspected.inspection.problems:
        say(problem, Text("wrong ", "red"))


def _write_montage(inspected: Inspected, path: Path, style: str) -> None:
    from effbench.data.inspecting.montage import MOST_CLASSES, montage
    from effbench.files import write_atomically

    write_atomically(path, montage(inspected.survey, style))
    classes = len(inspected.survey.listing.classes)
    if classes > MOST_CLASSES:
        say(f"{path} shows the first {MOST_CLASSES} of {classes:,} classes", console=err)


def _write_split(inspected: Inspected, path: Path) -> None:
    from effbench.files import write_atomically

    if inspected.division is None:
        problems = " ".join(inspected.inspection.problems)
        raise DataError("there is no split to write", problems, f"{path} was not written")
    images = inspected.division.images
    titles = ("file_name", "label", "split", "group")
    rows = tuple((image.name, image.label, image.split, image.group) for image in images)
    table = Table("", tuple(map(Column, titles)), rows)
    if not any(image.group for image in images):
        table = table.only(titles[:-1])
    write_atomically(path, comma_separated(table).encode())
    root = inspected.survey.listing.root
    say(f"{path}: its names start from {root}; put it there to use it as --data", console=err)
