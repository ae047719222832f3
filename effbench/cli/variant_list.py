"""The command that lists the networks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from effbench.cli.console import left_out, show
from effbench.config.variants import VARIANTS
from effbench.tables import Column, Table


def variants(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with the md5 of each.")] = False,
) -> None:
    """List the networks and the weights released for them, with their published ImageNet top-1."""
    from effbench.imagenet import protocols
    from effbench.models.flops import multiply_adds

    def top1(variant: str, release: str) -> float | None:
        figure = protocols.published(variant, release)
        return figure.top1 if figure else None

    if as_json:
        networks = [
            asdict(row)
            | {"rescale": row.rescale}
            | {
                "releases": [
                    asdict(release) | {"published_top1": top1(row.name, release.name)}
                    for release in row.releases.values()
                ]
            }
            for row in VARIANTS.values()
        ]
        print(json.dumps(networks, indent=1))  # not through rich, which wraps lines
        return
    rows: list[tuple[str, ...]] = []
    for row in VARIANTS.values():
        flops = multiply_adds(row, row.image_size)
        network = [row.name, str(row.image_size), f"{row.parameters:,}", f"{flops / 1e9:.2f}"]
        for release in row.releases.values():
            percent = top1(row.name, release.name)
            published = "" if percent is None else f"{percent:g}"
            rows.append((*network, release.rescale, release.name, published, release.md5))
            network = [""] * len(network)
        if not row.releases:
            rows.append((*network, row.rescale, "", "", ""))
    columns = (
        Column("Model", words=True),
        Column("Size"),
        Column("Parameters"),
        Column("GFLOPs"),
        Column("Rescale", words=True, rank=1),
        Column("Weights", words=True),
        Column("top-1", rank=1),
        Column("md5", words=True, rank=2),
    )
    left_out(show(Table("", columns, tuple(rows))))
