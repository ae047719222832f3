"""The commands under `effbench bench` that time the extraction of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench import table_files
from effbench.cli.bench_output import comparison as print_comparison
from effbench.cli.bench_output import end
from effbench.cli.console import Display, left_out, notes, out, say, show
from effbench.cli.options import (
    CpuOption,
    EngineOption,
    GpuOption,
    PeerPythonOption,
    TpuOption,
    VariantsOption,
    WaysOption,
    only,
)
from effbench.config.variants import select
from effbench.engines.engine_table import AUTO
from effbench.errors import UsageError

if TYPE_CHECKING:
    from effbench.bench.feature_speed import FeatureSpeed

# What extraction and a bare loop have no use for.
_OF_SIDES = (
    *("image_size", "precision", "batch_size", "seconds"),
    *("ways", "peer_python", "output"),
)


def features(
    context: typer.Context,
    variants: VariantsOption = "B0",
    images: Annotated[int, typer.Option(min=32, help="Images in each loop.")] = 1024,
    rounds: Annotated[
        int, typer.Option(min=1, help="Turns, or tries of which the best counts.")
    ] = 3,
    engine: Annotated[
        str, typer.Option(help="Engines beside one another, comma-separated: all, auto or names.")
    ] = "",
    peer: Annotated[
        str, typer.Option(help="Beside them, comma-separated: torch, timm, onnxruntime, openvino.")
    ] = "",
    precision: Annotated[str, typer.Option(help="Comma-separated: float32, bfloat16.")] = "float32",
    image_size: Annotated[int | None, typer.Option(min=32, help="Default: native.")] = None,
    batch_size: Annotated[
        str, typer.Option(help="Comma-separated. Default: what a sweep takes.")
    ] = "",
    seconds: Annotated[float, typer.Option(min=0.0, help="Of each turn.")] = 2.0,
    peer_python: PeerPythonOption = None,
    ways: WaysOption = "eager,compiled",
    output: Annotated[
        Path, typer.Option(help="The table as Markdown; JSON and plot beside it.")
    ] = Path("results/bench-features.md"),
) -> None:
    """Time engines, beside other tools with --peer; without either, extraction and a bare loop.

    The images are random ones of 32 pixels: no data is read.
    """
    if not (engine or peer):
        sources = {name: context.get_parameter_source(name) for name in _OF_SIDES}
        given = [
            f"--{name.replace('_', '-')}"
            for name, source in sources.items()
            if source is not None and source.name != "DEFAULT"
        ]
        if given:
            rule = "these go with --engine or --peer"
            raise UsageError(rule, " ".join(given), "add --engine auto, or leave them out")
        from effbench.bench import comparisons

        print_comparison(comparisons.features(select(variants), images, rounds))
        return
    from effbench.bench import feature_speed, feature_table

    table_files.check(output)
    options = feature_speed.FeatureOptions(
        *(variants, engine, peer, precision, image_size, batch_size, seconds, rounds, peer_python),
        ways=ways,
    )
    with Display(out, 0, quiet=False, verbose=False) as display:
        rows = feature_speed.run(options, partial(display.step, "bench"))
    feature_table.save(rows, options, output)
    left_out(show(feature_table.table(rows)))
    notes(feature_table.notes(rows, options))
    say(f"{output} and {output.with_suffix('.json')}", "saved: ")
    for path in _plots(rows, output):
        say(str(path), "saved: ")
    end(feature_table.problems(rows))


def _plots(rows: Sequence[FeatureSpeed], output: Path) -> Iterator[Path]:
    """A plot for each precision in which several networks were timed at their native sizes."""
    from effbench.bench import feature_table
    from effbench.hardware import machine
    from effbench.report.charts import feature_speeds, plot_files

    for precision, speeds in feature_table.lines(rows).items():
        figure = feature_speeds.figure(precision, [feature_speeds.Speed(*line) for line in speeds])
        if figure:
            path = output.with_name(f"{output.stem}-{figure.name}")
            yield from plot_files.write_figure(figure, machine.cpu_name(), path)


def batch(
    variants: VariantsOption = "B0",
    batch_size: Annotated[str, typer.Option(help="Comma-separated.")] = "16,32,64,128",
    engine: EngineOption = AUTO,
    precision: Annotated[str, typer.Option(help="Comma-separated: float32, bfloat16.")] = "float32",
    image_size: Annotated[int | None, typer.Option(min=32, help="Default: native.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="Of each turn.")] = 2.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each batch size.")] = 3,
    cpu: CpuOption = False,
    gpu: GpuOption = False,
    tpu: TpuOption = False,
) -> None:
    """Time the extraction of features in batches of several sizes.

    The images are random ones of 32 pixels: no data is read.
    """
    from effbench.bench import feature_speed, feature_table
    from effbench.hardware import machine

    device = machine.device(only("devices", {"cpu": cpu, "gpu": gpu, "tpu": tpu}) or "auto")
    options = feature_speed.FeatureOptions(
        *(variants, engine, "", precision, image_size, batch_size, seconds, rounds),
        device=device,
    )
    with Display(out, 0, quiet=False, verbose=False) as display:
        rows = feature_speed.run(options, partial(display.step, "bench"))
    left_out(show(feature_table.table(rows)))
    notes(feature_table.batches(rows))
    end(feature_table.problems(rows))
