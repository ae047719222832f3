"""The commands under `effbench bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from effbench.console import Display, out
from effbench.flags import DataDirOption, DataOption, ResultsOption, WeightsOption
from effbench.variants import select

if TYPE_CHECKING:
    from effbench.bench import Comparison

bench_app = typer.Typer(help="Measure speed and memory on this machine.", no_args_is_help=True)


@bench_app.command("probe")
def bench_probe(
    variants: Annotated[str, typer.Option(help="One variant.")] = "B0",
    weights: WeightsOption = "none",
    data: DataOption = "random",
    data_dir: DataDirOption = None,
    limit: Annotated[int, typer.Option(help="Training images.")] = 4000,
    epochs: Annotated[int, typer.Option(min=1, help="Of both ways.")] = 25,
    image_size: Annotated[int | None, typer.Option(min=32, help="Default: native.")] = None,
) -> None:
    """Compare cached features with the backbone in every step, set-up included."""
    from effbench import bench
    from effbench.request import Options

    options = Options(
        variants=select(variants)[0].name,
        weights=weights,
        data=data,
        data_dir=data_dir,
        limit=limit,
        epochs=epochs,
        image_size=image_size,
        device="cpu",
    )
    with Display(out, 2, quiet=False, verbose=False) as display:
        comparison = bench.probe(options, display)
    _print_comparison(comparison)


@bench_app.command("heads")
def bench_heads(
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
) -> None:
    """Compare the training of one head, of five, and Keras's fit, on 45,000 features."""
    from effbench import bench

    _print_comparison(bench.heads(rounds))


@bench_app.command("features")
def bench_features(
    variants: Annotated[str, typer.Option(help="One variant.")] = "B0",
    images: Annotated[int, typer.Option(min=32, help="Images in each loop.")] = 1024,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
) -> None:
    """Compare feature extraction with a bare loop over the model."""
    from effbench import bench

    _print_comparison(bench.features(select(variants)[0], images, rounds))


@bench_app.command("report")
def bench_report(
    runs: Annotated[int, typer.Option(min=1, help="Copies of finished runs.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
    results: ResultsOption = Path("results"),
) -> None:
    """Time a report of many runs."""
    from effbench import bench_report

    _print_comparison(bench_report.report(results, runs, rounds))


def _print_comparison(comparison: Comparison) -> None:
    table = Table("", "seconds", "peak memory")
    for timing in comparison.timings:
        memory = f"{timing.memory / 1e9:.2f} GB" if timing.memory else ""
        table.add_row(timing.what, f"{timing.seconds:.2f}", memory)
    out.print(table)
    for finding in comparison.findings:
        out.print(finding, soft_wrap=True)
