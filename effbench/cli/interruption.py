"""What is left of a command's work when it is interrupted, as the command itself declares it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from effbench.errors import Interrupted

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

# The line of a command that declares nothing.
NOTHING = "nothing was written; run it again"


def interrupted(line: str) -> Callable[[Callable[Arguments, Value]], Callable[Arguments, Value]]:
    """Declares what is left of a command's work when it is interrupted, and what to do next."""

    def declare(command: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
        @wraps(command)
        def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> Value:
            try:
                return command(*arguments, **options)
            except Interrupted as error:
                raise Interrupted(line) from error

        return run

    return declare
