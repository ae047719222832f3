"""The commands that take a model out of a run and use it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli.console import Display, out, say, show, warn
from effbench.cli.options import ExportFormat, ResultsOption
from effbench.errors import DataError
from effbench.stderr import hushed
from effbench.tables import Column, Table

if TYPE_CHECKING:
    from effbench.export.predict import Prediction


def export(
    key: Annotated[str, typer.Argument(help="Any part of the run's key that no other has.")],
    format: Annotated[  # the flag's name
        ExportFormat, typer.Option(help="A file of Keras 2, a folder of TensorFlow, or TFLite.")
    ] = ExportFormat.keras,
    output: Annotated[
        Path | None, typer.Option(help="Default: the run's key, in this directory.")
    ] = None,
    results: ResultsOption = Path("results"),
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            help="Of a run that trained a head: folder of the backbone's weights.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Take the place of a model that is there.")
    ] = False,
) -> None:
    """Write a run's model: from images of any size to probabilities of classes, in float32."""
    from effbench.records.store import Store

    store = Store(results)
    record = store.find(key)
    quiet = not out.is_terminal  # half a minute needs no lines in a log
    with hushed(), Display(out, 0, quiet=quiet, verbose=False) as display:
        from effbench.export import writer

        order = writer.ExportOrder(store, record, format.value, output, force, weights_dir)
        done = writer.export(order, partial(display.step, "export"))
    say(
        f"{done.path}: {done.size / 1e6:,.1f} MB; on {done.images} images at most "
        f"{done.difference:.1e} from the probabilities of the run's network in float32"
    )


def predict(
    model: Annotated[Path, typer.Argument(help="What 'effbench export' wrote.")],
    images: Annotated[
        list[Path], typer.Argument(help="Files of images of any size.", metavar="IMAGE...")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what an exported model sees in images: five classes, the likeliest first."""
    with hushed():
        from effbench.export.predict import predict

        outcomes = predict(model, images)
    problems = [outcome for outcome in outcomes if isinstance(outcome, DataError)]
    predictions = [outcome for outcome in outcomes if not isinstance(outcome, DataError)]
    _print(predictions, as_json)
    for problem in problems:
        warn(str(problem))
    if problems:
        raise typer.Exit(problems[0].exit_code)


def _print(predictions: list[Prediction], as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "image": str(prediction.image),
                "classes": [
                    {"class": name, "probability": value} for name, value in prediction.top
                ],
            }
            for prediction in predictions
        ]
        print(json.dumps(rows, indent=1))  # not through rich, which wraps lines
    elif out.is_terminal:
        lines = tuple(
            ("" if rank else str(prediction.image), name, f"{value:.2%}")
            for prediction in predictions
            for rank, (name, value) in enumerate(prediction.top)
        )
        columns = (Column("Image", words=True), Column("Class", words=True), Column("Probability"))
        show(Table("", columns, lines))
    else:
        for prediction in predictions:
            for name, value in prediction.top:
                print(f"{prediction.image}\t{name}\t{value:.4f}")
