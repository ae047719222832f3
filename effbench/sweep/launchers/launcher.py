"""What a launcher is: where the runs of a sweep are carried out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from effbench.config.sweep_options import LaunchOptions
    from effbench.records.store import Store
    from effbench.sweep.events import Listen
    from effbench.sweep.resolve import Request
    from effbench.sweep.scheduler import SweepCounts


@dataclass(frozen=True)
class Launch:
    """A sweep to start.

    Attributes:
        request: what to run.
        store: where records go.
        options: where it is carried out.
        listen: told of everything.
        say: told, a line each, what a user must know who goes on by himself.
    """

    request: Request
    store: Store
    options: LaunchOptions
    listen: Listen
    say: Callable[[str], None]


class Starter(Protocol):
    """What the module of a launcher has."""

    def check(self, options: LaunchOptions) -> None:
        """Makes sure that it can be used here.

        Raises:
            EffbenchError: it cannot; the line says how to get what is missing.
        """

    def start(self, launch: Launch) -> SweepCounts | None:
        """Carries a sweep out, or has it carried out.

        Returns:
            What came of it, or None where others go on with it.
        """


@dataclass(frozen=True)
class Launcher:
    """A row of the table.

    Attributes:
        name: what `--launcher` calls it.
        about: for the help, in a few words.
        module: its own, beside this one; it has what a `Starter` has, and is imported when used.
        flags: the fields of `LaunchOptions` that it takes.
        elsewhere: whether runs may be on other machines.
        shared: whether these must see the results folder.
    """

    name: str
    about: str
    module: str
    flags: tuple[str, ...]
    elsewhere: bool
    shared: bool = False

    @property
    def starter(self) -> Starter:
        """Its module."""
        return cast(Starter, importlib.import_module(f"{__package__}.{self.module}"))
