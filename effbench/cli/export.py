"""The commands that take a model out of a run and use it."""

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

from effbench.cli.console import Display, err, left_out, out, say, show, warn
from effbench.cli.options import DataDirOption, ResultsOption, only
from effbench.data import datasets
from effbench.data.listing import some
from effbench.errors import DataError, UsageError
from effbench.export.formats import FORMATS
from effbench.export.quantization import FLOAT32, PRECISIONS
from effbench.stderr import hushed
from effbench.tables import Column, Table, markdown

if TYPE_CHECKING:
    from effbench.export.evaluation import Evaluation
    from effbench.export.predict import PassedOver, Prediction
    from effbench.export.writer import Exported, ExportOrder, JudgedData
    from effbench.progress import Report
    from effbench.records.record import Record


def export(
    key: Annotated[
        str | None,
        typer.Argument(help="Any part of the run's key that no other has; or name many by a flag."),
    ] = None,
    format: Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}.")] = "keras",
    output: Annotated[
        Path | None,
        typer.Option(help="Default: the run's key, in this directory. Of many runs, the folder."),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The run that is most accurate on validation.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="All finished runs.")] = False,
    variants: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Of each of these, the best run.")
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(metavar="N", min=8, max=4096, help="Of tflite: takes N x N pixels alone."),
    ] = None,
    quantize: Annotated[
        str, typer.Option(help=f"Of tflite: {', '.join(PRECISIONS)}; int8 wants --data.")
    ] = FLOAT32.name,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Data of the run, to count what the model gets right."),
    ] = None,
    data_dir: DataDirOption = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Even if it loses more than a point.")
    ] = False,
    to_hub_folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Lay it out there as the Hub of Hugging Face wants it."),
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
    """Write a run's model: from images of any size to probabilities of classes."""
    from effbench.export import formats
    from effbench.export.selection import chosen, destinations
    from effbench.records.store import Store

    name, kind = formats.named(format)
    if quantize not in PRECISIONS:
        raise UsageError("unknown --quantize", quantize, f"choose from {', '.join(PRECISIONS)}")
    flags = {"KEY": bool(key), "best": best, "all": every, "variants": bool(variants)}
    if not only("ways to name runs", flags):
        raise UsageError("no run is named", "neither KEY nor a flag", "give KEY, --best or --all")
    store = Store(results)
    records = [store.find(key)] if key else chosen(store, every, variants)
    if to_hub_folder and (len(records) > 1 or output):
        raise UsageError("--to-hub-folder takes one run", "several, or --output", "name one run")
    quiet = not out.is_terminal  # half a minute needs no lines in a log
    with hushed(), Display(out, 0, quiet=quiet, verbose=False) as display:
        from effbench.export import hub_folder, writer

        step = partial(display.step, "export")
        judged = _judged_data(data, data_dir, records[0], step) if data else None
        paths = destinations(records, kind.suffix, output, to_hub_folder, several=not key)
        lines = []
        for record, path in zip(records, paths, strict=True):
            order = writer.ExportOrder(
                *(store, record, name, path, force, weights_dir, input_size),
                *(PRECISIONS[quantize], judged, allow_loss),
            )
            if not key and writer.equal(order):
                lines.append(f"{path}: is there already, and the same")
                continue
            done, evaluation = writer.export(order, step)
            lines.append(_said(order, done, evaluation))
            if to_hub_folder:
                hub_folder.finish(order, done)
    for line in lines:
        say(line)


def _judged_data(data: str, data_dir: Path | None, record: Record, report: Report) -> JudgedData:
    from effbench.export.writer import JudgedData

    name, directory = datasets.source(data, data_dir)
    dataset = datasets.load(name, directory, report).limited(record.spec.limit)
    return JudgedData(record.spec.data, dataset)


def _said(order: ExportOrder, done: Exported, judged: Evaluation | None) -> str:
    """What is printed of a model that was written."""
    from effbench.records.caveats import details

    text = (
        f"{order.path}: {done.size / 1e6:,.1f} MB; on {done.images} images at most "
        f"{done.difference:.1e} from the probabilities of the run's network in float32"
    )
    if judged:
        text += f"; {counted(judged)}"
    if done.notes:
        text += f"; in float: {', '.join(done.notes)}"
    marks = order.record.marks
    return text + (f"; marks: {details(marks)}" if marks else "")


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
        from effbench.export import evaluation
        from effbench.records.record import RunResult
        from effbench.records.store import Store

        report = partial(display.step, "evaluate")
        name, directory = datasets.source(data, data_dir)
        dataset = datasets.load(name, directory, report)
        against = None
        if run:
            store = Store(results)
            record = store.find(run)
            if not isinstance(record, RunResult):
                raise UsageError("a run that failed has no predictions", run, "name another")
            name, dataset = record.spec.data, dataset.limited(record.spec.limit)
            against = evaluation.Run(store, record)
        held = evaluation.held(name, dataset, split)
        judged = evaluation.evaluate(model, held, report, against)
    path = output or model.with_name(f"{model.name}.evaluation.json")
    judged.save(path)
    say(f"{path}: {counted(judged)}")


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
