"""The command that takes models out of runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli.console import Display, notes, out, say, warn
from effbench.cli.interruption import interrupted
from effbench.cli.model_scores import counted
from effbench.cli.options import DataDirOption, ResultsOption, only
from effbench.data import datasets
from effbench.errors import DiskError, EffbenchError, UsageError
from effbench.export.formats import FORMATS
from effbench.export.quantization import FLOAT32, IN_FLOAT, PRECISIONS
from effbench.stderr import hushed

if TYPE_CHECKING:
    from effbench.data.splits import Dataset
    from effbench.export.evaluation import Evaluation
    from effbench.export.orders import Exported, ExportOrder, JudgedData
    from effbench.progress import Report
    from effbench.records.record import Record


@interrupted("each model is there whole, or not yet; run it again to go on")
def export(
    key: Annotated[
        str | None,
        typer.Argument(help="Any part of the run's key that no other has; or name many by a flag."),
    ] = None,
    format: Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}.")] = "keras",
    output: Annotated[
        Path | None,
        typer.Option(help="Default: the run's key, in this directory. Or a folder for models."),
    ] = None,
    best: Annotated[
        bool,
        typer.Option(
            "--best", help="The run that is most accurate on validation, of each data set."
        ),
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
        typer.Option(
            metavar="NAME", help="Data of the runs, to count what their models get right."
        ),
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
    from effbench.export.orders import ExportOrder, check, name_ending
    from effbench.export.selection import chosen, destinations
    from effbench.records.store import Store

    name, _ = formats.named(format)
    if quantize not in PRECISIONS:
        raise UsageError("unknown --quantize", quantize, f"choose from {', '.join(PRECISIONS)}")
    flags = {"KEY": bool(key), "best": best, "all": every, "variants": bool(variants)}
    if not only("ways to name runs", flags):
        raise UsageError("no run is named", "neither KEY nor a flag", "give KEY, --best or --all")
    names = {"to-hub-folder": bool(to_hub_folder), "output": bool(output)}
    only("names for what is written", names)
    store = Store(results)
    named = store.find(key) if key else None
    quiet = not out.is_terminal  # half a minute needs no lines in a log
    problems: list[str] = []
    with hushed(), Display(out, 0, quiet=quiet, verbose=False) as display:
        step = partial(display.step, "export")
        dataset = _dataset(data, data_dir, step) if data else None
        of_data = dataset.sha256 if dataset else None
        records = [named] if named else chosen(store, every, variants, of_data)
        ending = name_ending(name, PRECISIONS[quantize], input_size)
        paths = destinations(records, ending, output, to_hub_folder, named=bool(named))
        orders = [
            ExportOrder(
                *(store, record, name, path, force, weights_dir, input_size),
                *(PRECISIONS[quantize], _judged_data(dataset, record), allow_loss),
                hub=bool(to_hub_folder),
            )
            for record, path in zip(records, paths, strict=True)
        ]
        for order in orders:
            check(order)
        for number, order in enumerate(orders, 1):
            if len(orders) > 1:
                at_work = f"{number:,} of {len(orders):,} models, {order.record.spec.key}:"
                step = partial(display.step, at_work)
            try:
                text, in_float = _exported(order, step, again=bool(named and force))
                say(text)
                if in_float:
                    say(IN_FLOAT)
                    notes(in_float)
            except EffbenchError as error:
                # A full disk is full for all.
                if len(orders) == 1 or isinstance(error, DiskError):
                    raise
                problems.append(f"{order.record.spec.key}: {error}")
    if problems:
        warn(f"{len(problems):,} of {len(orders):,} models could not be exported:")
        for problem in problems:
            warn(problem)
        raise typer.Exit(1)


def _dataset(data: str, data_dir: Path | None, report: Report) -> Dataset:
    name, directory = datasets.source(data, data_dir)
    return datasets.load(name, directory, report)


def _judged_data(dataset: Dataset | None, record: Record) -> JudgedData | None:
    from effbench.export.orders import JudgedData

    if dataset is None:
        return None
    return JudgedData(record.spec.data, dataset.limited(record.spec.limit))


def _exported(order: ExportOrder, report: Report, *, again: bool) -> tuple[str, tuple[str, ...]]:
    """Writes a model; unless `again`, one that is there and equal is left.

    Returns:
        what it is, and which of its parts stay in float.
    """
    from effbench.export import writer
    from effbench.export.orders import present
    from effbench.export.staging import clear

    clear(order.path.parent)
    done = None if again else present(order)
    if done:
        judged = writer.judge(order, done, report)
        counts = f"; {counted(judged)}" if judged else ""
        return f"{order.path}: is there already, and the same{counts}", ()
    done, judged = writer.export(order, report)
    return _said(order, done, judged), done.notes


def _said(order: ExportOrder, done: Exported, judged: Evaluation | None) -> str:
    """What is printed of a model that was written."""
    from effbench.records.caveats import details

    text = (
        f"{order.path}: {done.size / 1e6:,.1f} MB; on {done.images} images at most "
        f"{done.difference:.1e} from the probabilities of the run's network in float32"
    )
    if judged:
        text += f"; {counted(judged)}"
    marks = order.record.marks
    return text + (f"; marks: {details(marks)}" if marks else "")
