"""The command that says what an exported model sees in images."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli.console import Display, err, out, say, show, warn
from effbench.cli.options import only
from effbench.data.inspecting.listing import some
from effbench.errors import DataError, UsageError
from effbench.stderr import hushed
from effbench.tables import Column, Table

if TYPE_CHECKING:
    from effbench.export.predict import PassedOver, Prediction


def predict(
    model: Annotated[Path, typer.Argument(help="What 'effbench export' wrote.")],
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Files of images of any size, folders of them, or patterns.", metavar="IMAGE..."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, a line for each image.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the CSV to a file.")
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many classes.")] = 5,
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="How many images of one shape at once. Of 1, no digit depends on the others.",
        ),
    ] = 32,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Write heat maps beside the images: where the first class is seen."
        ),
    ] = False,
) -> None:
    """Say what an exported model sees in images: the likeliest classes first."""
    only("formats", {"json": as_json, "csv" if as_csv else "output": as_csv or bool(output)})
    if output and output.suffix != ".csv":
        raise UsageError("--output must end in .csv", str(output), "name a file for the CSV")
    quiet = not (output and err.is_terminal)
    problems: list[DataError] = []
    passed_over: list[str] = []
    with Display(err, 0, quiet=quiet, verbose=False) as display:
        with hushed():
            from effbench.export.predict import predict

            report = partial(display.step, "predict")
            outcomes = predict(model, images, report, top, explain, batch_size)
        predictions = _good(outcomes, problems, passed_over)
        if output:
            _write(predictions, output)
        elif as_csv:
            for line in _csv(predictions):
                print(line, end="")
        else:
            _print(predictions, as_json)
    if passed_over:
        count = f"{len(passed_over):,} ({some(passed_over)})"
        warn(f"files that are no images were passed over: {count}")
    if problems:
        raise typer.Exit(problems[0].exit_code)


def _good(
    outcomes: Iterable[Prediction | PassedOver | DataError],
    problems: list[DataError],
    passed_over: list[str],
) -> Iterator[Prediction]:
    """The predictions; what cannot be read is said, and added to `problems`."""
    from effbench.export.predict import PassedOver

    for outcome in outcomes:
        if isinstance(outcome, DataError):
            warn(str(outcome))
            problems.append(outcome)
        elif isinstance(outcome, PassedOver):
            passed_over.append(str(outcome.path))
        else:
            yield outcome


def _csv(predictions: Iterable[Prediction]) -> Iterator[str]:
    """A line of titles, then one for each image with its classes, the likeliest first."""
    rows = iter(predictions)
    first = next(rows, None)
    titles = ["file_name", "class", "probability"]
    ranks = range(2, len(first.top) + 1 if first else 2)
    yield _line([*titles, *(f"{title}_{rank}" for rank in ranks for title in titles[1:])])
    for prediction in chain([first] if first else [], rows):
        cells = (cell for name, value in prediction.top for cell in (name, f"{value:.6g}"))
        yield _line([str(prediction.image), *cells])


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _write(predictions: Iterable[Prediction], path: Path) -> None:
    from effbench.files import open_atomically

    images = -1  # the first line is of titles
    with open_atomically(path) as file:
        for line in _csv(predictions):
            # Names that are no UTF-8 keep their bytes.
            file.write(line.encode("utf-8", "surrogateescape"))
            images += 1
    say(f"{path}: {images:,} images")


def _print(predictions: Iterable[Prediction], as_json: bool) -> None:
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
