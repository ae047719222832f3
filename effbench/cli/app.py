"""The commands of the command line, in the order in which its help lists them."""

from __future__ import annotations

from typing import Annotated

import typer

import effbench
from effbench.cli.bench import bench_app
from effbench.cli.console import out
from effbench.cli.data import data
from effbench.cli.doctor import doctor
from effbench.cli.downloads import cache, fetch
from effbench.cli.export import evaluate, export, predict
from effbench.cli.imagenet import imagenet
from effbench.cli.panels import Command
from effbench.cli.plan import plan
from effbench.cli.records import merge, validate
from effbench.cli.reference import reference
from effbench.cli.report import compare, report
from effbench.cli.show import show
from effbench.cli.status import status
from effbench.cli.sweep import sweep
from effbench.cli.variants import variants
from effbench.cli.work import work

app = typer.Typer(
    name="effbench",
    help="Which EfficientNetV2 should I fine-tune, from which weights, and at what cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(effbench.__version__)
        raise typer.Exit


for command in (
    *(variants, data, sweep, status, work, report, compare, reference, show, validate, merge),
    *(export, evaluate, predict, imagenet, plan, fetch, doctor, cache),
):
    app.command(cls=Command)(command)
app.add_typer(bench_app, name="bench")
