"""The commands that time training steps: `effbench bench step` and `effbench bench training`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from effbench import table_files
from effbench.cli.bench_output import end
from effbench.cli.console import Display, left_out, notes, out, say, show
from effbench.cli.options import PeerPythonOption, VariantsOption, WaysOption
from effbench.config.recipes import RECIPES
from effbench.tables import Table, fitted

if TYPE_CHECKING:
    from effbench.bench.step_table import StepTables

# Characters of a line of a title over a table of steps on a narrow terminal.
_TITLE = 7

_NETWORKS = ", ".join(row.name for row in RECIPES.values() if not row.way.frozen_backbone)


class Augmentation(StrEnum):
    """Values of --augmentation."""

    both = "both"
    off = "off"
    on = "on"


_AUGMENTED = {
    Augmentation.both: (False, True),
    Augmentation.off: (False,),
    Augmentation.on: (True,),
}


def step(
    variants: VariantsOption = "B0",
    image_size: Annotated[str, typer.Option(help="Comma-separated, pixels.")] = "96,160,224",
    batch_size: Annotated[str, typer.Option(help="Comma-separated.")] = "32",
    precision: Annotated[
        str, typer.Option(help="Comma-separated: float32, mixed_bfloat16.")
    ] = "float32",
    recipe: Annotated[str, typer.Option(help=f"Comma-separated: {_NETWORKS}.")] = "finetune",
    augmentation: Annotated[
        Augmentation, typer.Option(help="Without the recipe's augmentation, with it, or both.")
    ] = Augmentation.both,
    steps: Annotated[int, typer.Option(min=1, help="Timed in each round.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 4,
    peer: Annotated[str, typer.Option(help="Beside them, comma-separated: timm.")] = "",
    peer_python: PeerPythonOption = None,
    ways: WaysOption = "eager,compiled",
    output: Annotated[Path, typer.Option(help="The table as Markdown; as JSON beside it.")] = Path(
        "results/bench-step.md"
    ),
) -> None:
    """Time training steps and inference of networks on the CPU, beside Keras's fit and other tools.

    The images are random ones of 32 pixels: no data is read.
    """
    from effbench.bench import step as step_timing
    from effbench.bench import step_table

    table_files.check(output)
    options = step_timing.StepOptions(
        variants=variants,
        image_sizes=image_size,
        batch_sizes=batch_size,
        precisions=precision,
        recipes=recipe,
        augmentation=_AUGMENTED[augmentation],
        steps=steps,
        rounds=rounds,
        peers=peer,
        ways=ways,
        peer_python=peer_python,
    )
    with Display(out, 0, quiet=False, verbose=False) as display:
        rows = step_timing.run(options, partial(display.step, "bench"))
    step_table.save(rows, options, output)
    shown = step_table.show(rows, options)
    _print_steps(shown)
    say(f"{output} and {output.with_suffix('.json')}", "saved: ")
    end(shown.problems)


def training(
    variants: VariantsOption = "V1-B5,V1-B7,S,M,L",
    image_size: Annotated[
        int | None, typer.Option(min=32, help="Pixels. Default: each variant's native size.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of a step.")] = 2,
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    recipe: Annotated[str, typer.Option(help=f"One of {_NETWORKS}.")] = "finetune",
    steps: Annotated[int, typer.Option(min=1, help="How many steps count.")] = 3,
    output: Annotated[Path, typer.Option(help="The table as Markdown; as JSON beside it.")] = Path(
        "results/bench-training.md"
    ),
) -> None:
    """Time full training steps on the CPU, each network at its own size, beside the paper's table.

    The images are random ones of 32 pixels: no data is read.
    """
    from effbench.bench import training_speed
    from effbench.report.published import PAPER_TRAINING

    table_files.check(output)
    options = training_speed.SpeedOptions(
        variants, image_size, batch_size, precision, recipe, steps
    )
    hours = {row.variant: row.train_hours for row in PAPER_TRAINING.rows}
    with Display(out, 0, quiet=False, verbose=False) as display:
        speeds = training_speed.run(options, partial(display.step, "bench"))
    training_speed.save(speeds, options, hours, output)
    show(training_speed.table(speeds, hours))
    notes(training_speed.notes(options))
    end([training_speed.name_of(row) for row in speeds if row.problem])


def _print_steps(shown: StepTables) -> None:
    hidden = []
    for table in shown.tables:
        narrow = out.is_terminal and fitted(table, out.width) != table
        hidden += show(_stacked(table) if narrow else table)
    left_out(hidden)
    notes(shown.notes)


def _stacked(table: Table) -> Table:
    """The table with long titles over several lines, which leaves room for more columns."""
    titles = (
        "\n".join(wrap(column.title, _TITLE, break_long_words=False)) for column in table.columns
    )
    columns = zip(table.columns, titles, strict=True)
    return replace(table, columns=tuple(replace(column, title=title) for column, title in columns))
