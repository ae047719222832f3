"""The entry point: a command's errors as lines and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from effbench.cli.interruption import NOTHING
from effbench.errors import EffbenchError, Interrupted, one_line
from effbench.failures import FailureKind
from effbench.files import NO_ROOM
from effbench.lean_imports import lean


def main() -> None:
    """Runs the command line; every `EffbenchError` becomes one line on standard error."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        code = _run()
        sys.stdout.flush()
    except EffbenchError as error:
        _fail(str(error), error.exit_code)
    except Interrupted as error:
        code = FailureKind.INTERRUPTED.handling.exit_code
        _fail(f"interrupted: {str(error) or NOTHING}", code)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        _drop_output()
        sys.exit(1)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _drop_output()
        what = error.filename or "what is printed"
        _fail(f"cannot write {what}: {error.strerror}; free some space there", 1)
    sys.exit(code)


def _drop_output() -> None:
    """Sends what is still to be printed nowhere, so that the end of the process says no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupted(*_: object) -> NoReturn:
    raise Interrupted


def _run() -> int:
    """The exit code of the command; imported here, so that Ctrl-C is heard while they load."""
    from typer.exceptions import TyperException

    with lean(missing=()):
        from effbench.cli.app import application

        app = application("".join(sys.argv[1:2]))

    try:
        return app(standalone_mode=False) or 0
    except TyperException as error:
        usage = FailureKind.USAGE.handling.exit_code
        if error.format_message():  # there is none where the help was asked for
            message = one_line(error.format_message()).removesuffix(".")
            context = getattr(error, "ctx", None)
            command = context.command_path if context else app.info.name
            _fail(f"{message}; see '{command} --help'", usage)
        return usage


def _fail(line: str, code: int) -> NoReturn:
    from effbench.cli.console import warn

    warn(line)
    sys.exit(code)


if __name__ == "__main__":
    main()
