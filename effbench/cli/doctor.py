"""The command that looks at this machine."""

from __future__ import annotations

import typer
from rich.text import Text

from effbench.cli.console import say


def doctor() -> None:
    """Say what this machine can do, and what is wrong with it."""
    from effbench.engines import examination
    from effbench.hardware import checkup

    checks = [*checkup.examine(), *examination.examine()]
    for check in checks:
        mark = Text("ok    ", "green") if check.good else Text("wrong ", "red")
        hint = f"; {check.hint}" if check.hint and not check.good else ""
        say(f"{check.name}: {check.text}{hint}", mark)
    if not all(check.good for check in checks):
        raise typer.Exit(1)
