"""The command line: flags in, tables and lines out, exit codes."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

import effbench
from effbench.cli.bench import bench_app
from effbench.cli.console import err, out
from effbench.cli.doctor import doctor
from effbench.cli.downloads import cache, fetch
from effbench.cli.export import export, predict
from effbench.cli.interruption import NOTHING
from effbench.cli.panels import PanelledCommand
from effbench.cli.plan import plan
from effbench.cli.records import merge, validate
from effbench.cli.reference import reference
from effbench.cli.report import compare, report
from effbench.cli.show import show
from effbench.cli.sweep import sweep
from effbench.cli.variants import variants
from effbench.errors import EffbenchError, Interrupted, one_line
from effbench.failures import FailureKind

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
    *(variants, sweep, report, compare, reference, show, validate, merge),
    *(export, predict, plan, fetch, doctor, cache),
):
    # Others have few enough flags for one panel.
    app.command(cls=PanelledCommand if command is sweep else None)(command)
app.add_typer(bench_app, name="bench")


def _interrupted(*_: object) -> NoReturn:
    raise Interrupted


def main() -> None:
    """Entry point: every `EffbenchError` becomes one line on standard error."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        usage = FailureKind.USAGE.handling.exit_code
        if error.format_message():  # there is none where the help was asked for
            message = one_line(error.format_message()).removesuffix(".")
            context = getattr(error, "ctx", None)
            command = context.command_path if context else app.info.name
            _fail(f"{message}; see '{command} --help'", usage)
        sys.exit(usage)
    except EffbenchError as error:
        _fail(str(error), error.exit_code)
    except Interrupted as error:
        code = FailureKind.INTERRUPTED.handling.exit_code
        _fail(f"interrupted: {str(error) or NOTHING}", code)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code or 0)


def _fail(line: str, code: int) -> NoReturn:
    err.print(f"effbench: {line}", soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
