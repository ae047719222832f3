"""The command that lists the networks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from effbench.cli.console import out
from effbench.config.variants import VARIANTS


def variants(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with the md5 of each.")] = False,
) -> None:
    """List the networks and the weights released for them."""
    if as_json:
        rows = [
            asdict(row)
            | {"rescale": row.rescale}
            | {"releases": [asdict(release) for release in row.releases.values()]}
            for row in VARIANTS.values()
        ]
        print(json.dumps(rows, indent=1))  # not through rich, which wraps lines
        return
    # Without lines it fits 80 columns with every md5 whole.
    table = Table("Model", "Size", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Parameters", justify="right")
    for title in ("Rescale", "Weights", "md5"):
        table.add_column(title, no_wrap=True)
    for row in VARIANTS.values():
        network = [row.name, str(row.image_size), f"{row.parameters:,}"]
        for release in row.releases.values():
            table.add_row(*network, release.rescale, release.name, release.md5)
            network = [""] * 3
        if not row.releases:
            table.add_row(*network, row.rescale)
    out.print(table)
