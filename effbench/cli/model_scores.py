"""The command that counts what an exported model gets right."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli.console import Display, err, left_out, out, say, show
from effbench.cli.options import DataDirOption, ResultsOption
from effbench.data import datasets
from effbench.errors import UsageError
from effbench.stderr import hushed
from effbench.tables import markdown

if TYPE_CHECKING:
    from effbench.export.evaluation import Evaluation


def counted(judged: Evaluation) -> str:
    """What an evaluation came to, in words."""
    text = (
        f"{judged.split} {judged.accuracy:.2%} ({judged.correct:,} of {judged.total:,}; 95 % "
        f"interval {judged.low:.2%} to {judged.high:.2%}), {judged.images_per_second:,.1f} images/s"
    )
    if against := judged.against:
        text += (
            f"; another class than its run in {against.disagree:,} images, probabilities at most "
            f"{against.largest_difference:.1e} off, {100 * judged.gained:+.2f} points, "
            f"p = {against.p:.2g}"
        )
    return text


def evaluate(
    model: Annotated[
        Path | None, typer.Argument(help="What 'effbench export' wrote, in any format.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="NAME", help=f"{datasets.listed()}.")] = None,
    data_dir: DataDirOption = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, validation or test. Default: test, or validation without it."),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="KEY", help="A run to compare its predictions with.")
    ] = None,
    results: ResultsOption = Path("results"),
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Default: the model's name, with .evaluation.json."),
    ] = None,
    listed: Annotated[
        Path | None,
        typer.Option("--list", metavar="DIR", help="Show the records in a folder, as a table."),
    ] = None,
) -> None:
    """Count what an exported model gets right, by its own runtime, and write a record of it."""
    if listed:
        from effbench.export.evaluation_table import table

        shown = table(listed)
        if out.is_terminal:
            left_out(show(shown))
        else:
            print(markdown(shown))
        return
    if model is None or data is None:
        received = "no --data" if model else "no MODEL"
        raise UsageError("an evaluation is of a model on images", received, "give both")
    with hushed(), Display(err, 0, quiet=not err.is_terminal, verbose=False) as display:
        from effbench.export import counting, hub_folder
        from effbench.export.evaluation import EVALUATED
        from effbench.records.record import RunResult
        from effbench.records.store import Store

        report = partial(display.step, "evaluate")
        model = hub_folder.model_in(model)
        name, directory = datasets.source(data, data_dir)
        dataset = datasets.load(name, directory, report)
        against = None
        if run:
            store = Store(results)
            record = store.find(run)
            if not isinstance(record, RunResult):
                raise UsageError("a run that failed has no predictions", run, "name another")
            name, dataset = record.spec.data, dataset.limited(record.spec.limit)
            against = counting.Run(store, record)
        held = counting.held(name, dataset, split)
        judged = counting.evaluate(model, held, report, against)
    path = output or model.with_name(model.name + EVALUATED)
    judged.save(path)
    say(f"{path}: {counted(judged)}")
