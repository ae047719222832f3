"""The command that plans a sweep on TPUs that are not there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from effbench.cli.console import Display, err, left_out, notes, say, show, warn
from effbench.cli.interruption import interrupted
from effbench.cli.options import (
    ImageSizeOption,
    QuietOption,
    RecipesOption,
    SettingsOption,
    VariantsOption,
    VerboseOption,
    only,
)
from effbench.config.variants import USUAL
from effbench.data import datasets
from effbench.data.outline import PUBLISHED
from effbench.hardware.tpu_slices import SLICES

if TYPE_CHECKING:
    from effbench.tpu_plan.planner import PlannedRun


@interrupted("what was compiled is kept; run it again to go on")
def plan(
    tpu_type: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPES",
            help=f"Comma-separated, or again: {', '.join(SLICES)}. Default: all.",
        ),
    ] = None,
    variants: VariantsOption = USUAL,
    recipe: RecipesOption = None,
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"{datasets.listed()}; or, by published counts alone, {', '.join(PUBLISHED)}.",
        ),
    ] = "cifar10",
    image_size: ImageSizeOption = None,
    settings: SettingsOption = None,
    batch_per_replica: Annotated[
        int | None,
        typer.Option(min=1, help="Images a replica takes at once. Default: what the run takes."),
    ] = None,
    price_per_hour: Annotated[
        float | None, typer.Option(min=0, help="Dollars an hour of a whole slice, for the costs.")
    ] = None,
    max_batch: Annotated[
        bool, typer.Option("--max-batch", help="Find the largest batch a replica can take.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every program.")] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Compile a sweep for TPUs that are not there: what fits, and what it would take."""
    from effbench.tpu_plan import plan_table, planner
    from effbench.tpu_plan.plan_request import PlanOptions

    style = only("formats", {"markdown": markdown, "json": as_json})
    options = PlanOptions(
        tpus=",".join(tpu_type or ["all"]),
        variants=variants,
        recipes=recipe,
        data=data,
        image_size=image_size,
        settings=tuple(settings or ()),
        batch=batch_per_replica,
        largest=max_batch,
    )
    # Progress goes to standard error, since the plan itself may go to a file.
    with Display(err, 0, quiet=quiet, verbose=verbose) as display:
        rows = planner.make(options, partial(display.step, "plan"))
    if style == "json":
        print(plan_table.as_json(rows, price_per_hour), end="")
    elif style == "markdown":
        print(plan_table.markdown(rows, price_per_hour), end="")
    else:
        _print(rows, price_per_hour)
    wrong = [row for row in rows if row.problem]
    for row in wrong:
        warn(_explain(row))
    if wrong:
        raise typer.Exit(1)


def _print(rows: list[PlannedRun], price: float | None) -> None:
    from effbench.tpu_plan import plan_table

    parts = plan_table.tables(rows, price)
    tables = [part.table for part in parts]
    hidden = []
    for part in parts:
        say(Text(part.title, "bold"))
        hidden += show(part.table, tables)
        for line in part.lines:
            say(line)
    left_out(hidden)
    notes([plan_table.ABOUT, *plan_table.notes(rows)])


def _explain(row: PlannedRun) -> str:
    line = f"{row.spec.variant} on {row.tpu.name}: {row.problem}"
    if row.excess:
        if row.largest:
            return f"{line}; the largest batch per replica that fits is {row.largest:,}"
        hint = "no batch fits" if row.largest == 0 else "--max-batch finds the largest that fits"
        return f"{line}; {hint}"
    return line
