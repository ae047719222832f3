"""The commands that say what was found: report, compare."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli.console import err, out, show, warn
from effbench.cli.interruption import interrupted
from effbench.cli.options import ResultsOption, SelectOption, VariantsOption, only
from effbench.cli.results_folder import folder_or_name
from effbench.config.variants import EVERYTHING
from effbench.errors import EffbenchError, UsageError

# How the names of reports end.
_WRITTEN = (".md", ".txt", ".csv", ".json", ".tex", ".html", ".htm", "")

# Altair takes longer to import than a text table to print.
if TYPE_CHECKING:
    from effbench.records.store import Store
    from effbench.report.charts.drawing import Drawing
    from effbench.report.select import Selection


@interrupted("each file is there whole, or not at all; run it again")
def report(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown (the default but on a terminal).")
    ] = False,
    csv: Annotated[
        bool,
        typer.Option("--csv", help="Comma-separated values; standard error has what is left out."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="LaTeX, with booktabs.")] = False,
    html: Annotated[bool, typer.Option("--html", help="One page that works offline.")] = False,
    answer: Annotated[bool, typer.Option("--answer", help="The answer alone, in words.")] = False,
    plots: Annotated[
        Path | None,
        typer.Option(
            help="Write plots here, SVG and PNG; and print the report if a format is given.",
            file_okay=False,
        ),
    ] = None,
    variants: VariantsOption = EVERYTHING,
    recipe: Annotated[str | None, typer.Option(help="Comma-separated; default: all.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Comma-separated releases, or none; default: all.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Comma-separated; default: all.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Over the columns of --csv, numbers of recipes among them, e.g. "
            "\"geometry == 'crop' and seeds > 1\"; of several, all hold."
        ),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="Comma-separated columns; -COLUMN descends.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated columns instead of the usual: of tables, or of --csv, numbers "
            "of recipes among them; a wrong one lists the closest."
        ),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Every pair of rows in a line; not with --columns.")
    ] = False,
    group_by: Annotated[
        str, typer.Option(help="Columns that the rows of one table share.")
    ] = "recipe,data",
    select: SelectOption = None,
    tried: Annotated[
        bool,
        typer.Option(
            "--tried", help="Every value of a search as a row of its own, not the best alone."
        ),
    ] = False,
    price_per_hour: Annotated[
        float | None, typer.Option(min=0, help="Dollars an hour of the machine, for the costs.")
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="case-study, paper, automl, composer, imagenet or imagenet-v1: its published "
            "figures beside ours, with what differs.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The dataset, for the page's thumbnails.", exists=True)
    ] = None,
    results: ResultsOption = Path("results"),
    output: Annotated[
        Path | None, typer.Option(help="A file, not the terminal.", dir_okay=False)
    ] = None,
) -> None:
    """Print what all finished runs came to, how sure it is, and what it cost."""
    from effbench.files import refuse_to_replace, write_atomically
    from effbench.records.store import Store
    from effbench.report import build
    from effbench.report.render import document
    from effbench.report.select import Selection

    given = {
        "markdown": markdown,
        "csv": csv,
        "json": as_json,
        "latex": latex,
        "html": html,
        "answer": answer,
    }
    style = only("formats", given)
    only("these", {"columns": columns is not None, "pairs": pairs})
    # A report may take the place of an older one, but of nothing else.
    if output is not None and output.suffix.lower() not in _WRITTEN:
        refuse_to_replace(output)
    wanted = document.Wanted(columns, pairs)
    selection = Selection(
        *(variants, recipe, weights, data), _all_of(where), sort, group_by, select, tried
    )
    store = Store(results)
    if beside is not None:
        _print_beside(beside, store, selection, style, output)
        return
    contents = build.read(store, selection, price_per_hour)
    for problem in contents.problems:
        warn(problem)
    if csv and contents.failures:
        warn(f"not in the table: {len(contents.failures)} runs that failed")
    if csv and contents.unscored:
        warn(f"not in the table: {len(contents.unscored)} runs without scores by {select}")
    if csv and not contents.sections:
        raise EffbenchError("no finished run for a CSV", str(results), "leave --csv out")
    if plots is not None and not contents.sections:
        raise EffbenchError("no finished run to plot", str(results), "leave --plots out")
    drawings: Sequence[Drawing] = ()
    if html or plots is not None:
        from effbench.report.charts.drawing import draw

        drawings = list(draw(store, contents.sections))
    if plots is not None:
        from effbench.report.charts import plot_files

        for path in plot_files.write(drawings, plots):
            err.print(path, soft_wrap=True)
        if style is None and output is None:
            return
    if html:
        from effbench.report.render import page

        text = page.render(contents, drawings, data_dir, wanted)
    elif style is None and output is None and sys.stdout.isatty():
        from effbench.report.render import terminal

        for part in terminal.render(contents, out.width, wanted):
            out.print(part)
        return
    else:
        text = document.render(contents, style or "markdown", wanted)
    if output is not None:
        write_atomically(output, text.encode())
    elif answer and sys.stdout.isatty():
        out.print(text, end="", markup=False, highlight=False)
    else:
        sys.stdout.write(text)


def _print_beside(
    name: str, store: Store, selection: Selection, style: str | None, output: Path | None
) -> None:
    """Prints a published table beside all rows, or beside all releases that were scored."""
    from effbench import tables
    from effbench.files import write_atomically
    from effbench.imagenet import imagenet_records
    from effbench.report import beside, beside_imagenet, build

    styles = {"markdown": tables.markdown, "csv": tables.comma_separated, "latex": tables.latex}
    if style not in (None, *styles):
        raise UsageError(f"--beside is no {style}", f"--{style}", f"use --{', --'.join(styles)}")
    if name in beside_imagenet.TABLES:
        records, problems = imagenet_records.load(store.directory)
        table = beside_imagenet.table(name, records)
    else:
        contents = build.read(store, selection)
        problems = [*contents.problems]
        rows = [row for section in contents.sections for row in section.rows]
        table = beside.table(name, beside.beside(name, rows))
    for problem in problems:
        warn(problem)
    if style is None and output is None and sys.stdout.isatty():
        show(table)
        return
    text = styles[style or "markdown"](table).rstrip("\n") + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text.encode())


def compare(
    base: Annotated[
        str,
        typer.Argument(
            help="Results directory, its URL, or case-study (published).", parser=folder_or_name
        ),
    ],
    new: Annotated[
        str,
        typer.Argument(
            help="Results directory, its URL, or case-study (published).", parser=folder_or_name
        ),
    ],
    max_drop: Annotated[
        float, typer.Option(min=0, help="Percentage points of test accuracy that may be lost.")
    ] = 0.3,
    alpha: Annotated[
        float, typer.Option(min=0, max=1, help="A drop counts below this p (Holm's correction).")
    ] = 0.05,
    select: SelectOption = None,
    require_all: Annotated[
        bool, typer.Option("--require-all", help="Fail too if a row of BASE could not be checked.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON.")] = False,
) -> None:
    """Say what changed from BASE to NEW; exit 1 if a drop is too large and significant."""
    from effbench.report.comparison import compare
    from effbench.report.render import comparison_table

    comparison = compare(base, new, select)
    for problem in comparison.problems:
        warn(problem)
    if sys.stdout.isatty() and not as_json:
        for part in comparison_table.on_terminal(comparison, max_drop, alpha, out.width):
            out.print(part)
    else:
        render = comparison_table.as_json if as_json else comparison_table.as_text
        sys.stdout.write(render(comparison, max_drop, alpha))
    fallen = any(change.fails(max_drop, alpha) for change in comparison.changes)
    if fallen or (require_all and (comparison.unchecked or comparison.left_out)):
        raise typer.Exit(1)


def _all_of(conditions: list[str] | None) -> str | None:
    """One expression that is true where all of these are."""
    if not conditions or len(conditions) == 1:
        return conditions[0] if conditions else None
    return " and ".join(f"({condition})" for condition in conditions)
