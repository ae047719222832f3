"""The commands that download files to this machine, and that list and clear what it keeps."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from effbench.cli.console import Display, out, say
from effbench.cli.interruption import interrupted
from effbench.cli.options import (
    CacheAction,
    DataDirOption,
    DataOption,
    Rescale,
    VariantsOption,
    WeightsDirOption,
    WeightsOption,
)
from effbench.config.variants import USUAL, select
from effbench.errors import UsageError


@interrupted("each file is there whole, or not yet; run it again to go on")
def fetch(
    variants: VariantsOption = USUAL,
    weights: WeightsOption = "auto",
    weights_dir: WeightsDirOption = None,
    data: DataOption = "cifar10",
    data_dir: DataDirOption = None,
) -> None:
    """Download and verify weights and data ahead of time."""
    from effbench.data import datasets
    from effbench.models import weights as weights_module

    rows = select(variants)
    source = weights_module.WeightsSource.parse(weights, Rescale.auto)
    if source.path is not None:
        raise UsageError("fetch brings releases", weights, "name one, or leave --weights out")
    identities = [(row, source.identify(row)) for row in rows]
    with Display(out, 0, quiet=False, verbose=False) as display:
        show = partial(display.step, "fetch")
        name, directory = datasets.source(data, data_dir)
        loaded = datasets.load(name, directory, show)
        counts = ", ".join(f"{len(split.labels):,}" for split in loaded.splits)
        say(f"{data}: {counts} images, sha256 {loaded.sha256}")
        for row, identity in identities:
            if not identity.random:
                file = weights_module.find(source, identity, row, weights_dir, show)
                say(f"{row.name} {identity.name}: {file.path}")
                say(f"sha256 {file.sha256}", "  ")


@interrupted("what was cleared by then is gone; run it again")
def cache(
    action: Annotated[CacheAction, typer.Argument()] = CacheAction.list,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Clear downloads too, not only what can be computed again."),
    ] = False,
) -> None:
    """List or clear cached features, pixels, plans and downloads."""
    from effbench.cache import clear, directory, entries

    if action is CacheAction.clear:
        say(f"freed {clear(everything) / 1e6:,.1f} MB under {directory()}")
        return
    cached = entries()
    for entry in cached:
        say(str(entry.path), f"{entry.size / 1e6:10,.1f} MB  ")
    total = sum(entry.size for entry in cached) / 1e6
    say(f"in all under {directory()}", f"{total:10,.1f} MB  ")
