"""The command that lists the networks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from effbench.cli.console import show
from effbench.config.variants import VARIANTS
from effbench.tables import Column, Table


def variants(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with the md5 of each.")] = False,
) -> None:
    """List the networks and the weights released for them."""
    if as_json:
        networks = [
            asdict(row)
            | {"rescale": row.rescale}
            | {"releases": [asdict(release) for release in row.releases.values()]}
            for row in VARIANTS.values()
        ]
        print(json.dumps(networks, indent=1))  # not through rich, which wraps lines
        return
    rows: list[tuple[str, ...]] = []
    for row in VARIANTS.values():
        network = (row.name, str(row.image_size), f"{row.parameters:,}")
        for release in row.releases.values():
            rows.append((*network, release.name, release.rescale, release.md5))
            network = ("", "", "")
        if not row.releases:
            rows.append((*network, "", row.rescale, ""))
    columns = (
        Column("Model", words=True),
        Column("Size"),
        Column("Parameters"),
        Column("Weights", words=True),
        Column("Rescale", words=True, rank=2),
        Column("md5", words=True, rank=1),
    )
    show(Table("", columns, tuple(rows)))
