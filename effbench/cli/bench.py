"""The commands under `effbench bench`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from effbench import table_files
from effbench.cli import bench_features, bench_steps
from effbench.cli.bench_output import comparison as print_comparison
from effbench.cli.console import Display, left_out, notes, out, say, show
from effbench.cli.options import (
    DataDirOption,
    DataOption,
    ResultsOption,
    VariantsOption,
    WeightsOption,
)
from effbench.cli.panels import Command, CommandGroup
from effbench.config.sweep_options import (
    DeviceOptions,
    ImageOptions,
    NetworkOptions,
    SweepOptions,
    TrainingOptions,
)
from effbench.config.variants import select
from effbench.errors import UsageError
from effbench.stderr import hushed

# Training images that `bench probe` takes where nobody says how many.
_PROBED = 4_000
bench_app = typer.Typer(
    help="Measure speed and memory on this machine.", no_args_is_help=True, cls=CommandGroup
)
bench_app.command("features", cls=Command)(bench_features.features)
bench_app.command("batch", cls=Command)(bench_features.batch)


@bench_app.command("probe", cls=Command)
def bench_probe(
    variants: VariantsOption = "B0",
    weights: WeightsOption = "none",
    data: DataOption = "random",
    data_dir: DataDirOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Training images. Default: {_PROBED:,}, or all where there are fewer.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of both ways.")] = 25,
    image_size: Annotated[int | None, typer.Option(min=32, help="Default: native.")] = None,
) -> None:
    """Compare cached features with the backbone in every step, set-up included.

    It reads the images of --data, and holds them in memory.
    """
    from effbench.bench import comparisons
    from effbench.data import datasets

    if limit is None:
        images, *_ = datasets.outline(*datasets.source(data, data_dir)).counts
        limit = _PROBED if images > _PROBED else None
    options = SweepOptions(
        NetworkOptions(variants=variants, weights=weights, image_size=image_size),
        ImageOptions(data=data, data_dir=data_dir, limit=limit),
        TrainingOptions(recipe="case-study", epochs=epochs),
        DeviceOptions(device="cpu"),
    )
    with Display(out, 2 * len(select(variants)), quiet=False, verbose=False) as display:
        comparison = comparisons.probe(options, display)
    print_comparison(comparison)


@bench_app.command("predict", cls=Command)
def bench_predict(
    models: Annotated[
        list[Path], typer.Argument(help="What 'effbench export' wrote.", metavar="MODEL...")
    ],
    image_size: Annotated[int, typer.Option(min=8, help="Of the random images.")] = 224,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long each is timed.")] = 5.0,
    output: Annotated[
        Path | None, typer.Option(help="Also the table as Markdown; as JSON beside it.")
    ] = None,
) -> None:
    """Time exported models by their own runtimes, on single images and in batches of 32."""
    if output:
        table_files.check(output)
    with hushed():
        from effbench.export import speed

        speeds = [speed.measure(model, image_size, (1, 32), seconds) for model in models]
    left_out(show(speed.table(speeds)))
    if output:
        speed.save(speeds, output)
        say(f"{output} and {output.with_suffix('.json')}", "saved: ")


@bench_app.command("heads", cls=Command)
def bench_heads(
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
) -> None:
    """Compare the training of one head, of five, and Keras's fit, on 45,000 features.

    The features are random numbers: no data is read.
    """
    from effbench.bench import comparisons

    print_comparison(comparisons.heads(rounds))


@bench_app.command("regression", cls=Command)
def bench_regression(
    l2: Annotated[float, typer.Option("--l2", metavar="X", min=1e-9, help="As in a recipe.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
) -> None:
    """Compare a linear probe's regression with scikit-learn's, on 45,000 features.

    The features are random numbers, correlated as a network's: no data is read.
    """
    from effbench.bench import comparisons

    print_comparison(comparisons.regression(l2, rounds))


@bench_app.command("photos", cls=Command)
def bench_photos(
    images: Annotated[
        str, typer.Option(help="Synthetic photos, comma-separated for several folders.")
    ] = "5000,50000",
    image_size: Annotated[int, typer.Option(min=32, help="Pixels they are decoded to.")] = 96,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of a step.")] = 32,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of B0.")] = 20,
) -> None:
    """Time the decoding of photos, their feeding to training steps, and the steps."""
    from effbench.bench import comma_lists, photo_timing

    counts = comma_lists.numbers("--images", images, 1_000, 1_000_000, "1000,5000")
    print_comparison(photo_timing.photos(counts, image_size, batch_size, steps))


@bench_app.command("report", cls=Command)
def bench_report(
    runs: Annotated[int, typer.Option(min=1, help="Copies of finished runs.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
    results: ResultsOption = Path("results"),
) -> None:
    """Time a report of many runs."""
    from effbench.bench import report_timing

    print_comparison(report_timing.report(results, runs, rounds))


bench_app.command("step", cls=Command)(bench_steps.step)
bench_app.command("training", cls=Command)(bench_steps.training)


@bench_app.command("programs")
def bench_programs(
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FOLDER", help="Write programs and what runs them."),
    ] = None,
    measured: Annotated[
        list[Path] | None,
        typer.Option(
            "--import", metavar="FILE", help="The measured.json of such a folder; may be repeated."
        ),
    ] = None,
    variants: VariantsOption = "B0",
    work: Annotated[str, typer.Option(help="Comma-separated: features, step.")] = "features,step",
    precision: Annotated[
        str, typer.Option(help="Comma-separated: float32, tensorfloat32, mixed_bfloat16.")
    ] = "mixed_bfloat16",
    batch_size: Annotated[str, typer.Option(help="Comma-separated.")] = "128",
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="An .h5 file for the features of one variant. Default: random weights.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Time networks on a machine that has JAX and numpy alone, beside timm if it is there.

    There, run: python -m effbench.bench.program_runner . --device gpu --peer timm
    """
    from effbench.bench import program_request, program_table

    if (export is None) == (not measured):
        raise UsageError("bench programs writes a folder or reads what it measured", "", _ONE)
    if measured:
        measurements = program_table.read(measured)
        show(program_table.table(measurements))
        notes(program_table.notes(measurements))
        say(str(program_table.save(measurements, results)), "saved: ")
        return
    assert export is not None
    requests = program_request.requests(variants, work, precision, batch_size, weights)
    program_request.check()
    with Display(out, 0, quiet=False, verbose=False) as display, hushed():
        from effbench.bench import program_export

        program_export.write(requests, export, partial(display.step, "programs"))
    say(f"{export}: run there, where JAX sees the device: {program_request.COMMAND}", "written: ")


_ONE = "give --export FOLDER, or --import FILE"
