"""The commands of the command line, in the order in which its help lists them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Annotated

import typer

import effbench
from effbench.cli.console import out
from effbench.cli.panels import Command

# The module of each command.
COMMANDS: Mapping[str, str] = {
    "variants": "variant_list",
    "data": "data",
    "sweep": "sweep",
    "status": "status",
    "work": "work",
    "report": "report",
    "compare": "report",
    "reference": "reference",
    "show": "show",
    "validate": "records",
    "merge": "records",
    "export": "export",
    "evaluate": "model_scores",
    "predict": "predictions",
    "imagenet": "imagenet",
    "plan": "plan",
    "fetch": "downloads",
    "doctor": "doctor",
    "cache": "downloads",
}
_BENCH = "bench"


@cache
def application(name: str = "") -> typer.Typer:
    """The command line, or as much of it as one command needs: all others take 0.2 s to make.

    Args:
        name: the command, if it is known; else any other text.
    """
    app = typer.Typer(
        name="effbench",
        help="Which EfficientNetV2 should I fine-tune, from which weights, and at what cost?",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback(invoke_without_command=True)(_root)
    for command, module in COMMANDS.items():
        if name == command or name not in (*COMMANDS, _BENCH):
            app.command(cls=Command)(getattr(_module(module), command))
    if name not in COMMANDS:
        app.add_typer(_module(_BENCH).bench_app, name=_BENCH)
    return app


def _module(name: str) -> ModuleType:
    return import_module(f"effbench.cli.{name}")


def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(effbench.__version__)
        raise typer.Exit
