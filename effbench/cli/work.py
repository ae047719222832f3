"""The command that takes part in sweeps, on any machine that sees their results folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from effbench.cli.console import Display, out, say, warn
from effbench.cli.interruption import interrupted
from effbench.cli.options import QuietOption, ResultsOption, VerboseOption
from effbench.cli.results_folder import refuse_url
from effbench.errors import EffbenchError


@interrupted("finished runs and checkpoints are saved, and others may go on with the rest")
def work(
    results: ResultsOption = Path("results"),
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where the data is on this machine.", exists=True),
    ] = None,
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where releases of weights are on this machine.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Do open runs of the sweeps in a folder, beside others that do; until all are done."""
    from effbench.records.store import Store
    from effbench.sweep import presence, queues, scheduler
    from effbench.sweep.queues import Here
    from effbench.sweep.scheduler import Taking

    refuse_url(results, "effbench work")
    store = Store(results)
    here = Here(data_dir, weights_dir)
    waiting = queues.read(store) if results.is_dir() else []
    runs = sum(len(group.specs) for queue in waiting for group in queue.open())
    if not waiting and (known := len(store.folders())):
        # Whoever comes last to a sweep finds it done, which is no failure.
        if not quiet:
            say(f"nothing to do: no open runs in {results}, where {known:,} were tried")
        return
    if not waiting:
        raise EffbenchError(
            "no open runs in this folder",
            f"{results.resolve()}",
            "write them down with 'effbench sweep --launcher queue', and name the folder that all "
            "machines share with --results",
        )
    with presence.announced(store) as others:
        for remark in others.remarks:
            warn(remark)
        if not quiet:
            beside = f" beside {', '.join(others.names)}" if others.names else ""
            out.print(f"{runs:,} open runs in {results}{beside}", soft_wrap=True)
        with Display(out, runs, quiet=quiet, verbose=verbose) as display:
            outcome = scheduler.take(store, display, Taking(here))
    if not quiet:
        out.print(
            f"{outcome.saved} saved here, {outcome.failed} failed; "
            f"see: effbench status --results {results}",
            soft_wrap=True,
        )
    if outcome.failed:
        raise typer.Exit(1)
