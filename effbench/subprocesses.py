"""The one parent of all processes that effbench starts to do a part of its work.

A child is a module of effbench. It reads lines from its standard input and answers in lines on its
standard output; most lines are JSON. The child's half of this is `effbench.child_process`.

Programs of others that answer one short question (git, SLURM's commands) are no children: where
they are asked, it is by `subprocess.run`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from effbench.child_process import REFUSED, SCRATCH
from effbench.errors import RelayedError

# -P: nothing in the working directory may pass for a library.
COMMAND = (sys.executable, "-P", "-m")

# How many bytes at the end of what a child printed are looked at.
_TAIL = 1 << 16

Answer = TypeVar("Answer")


class NoAnswerError(Exception):
    """A child ended without an answer.

    Attributes:
        code: the exit code that it ended with.
        last: the last line that it printed, "" for none.
    """

    def __init__(self, code: int, last: str) -> None:
        super().__init__(ended(code, last))
        self.code = code
        self.last = last


class Child:
    """A process that was started by `start`."""

    def __init__(self, process: subprocess.Popen[bytes], errors: BinaryIO) -> None:
        self._process = process
        self._errors = errors
        self._heard = b""
        self.pid = process.pid

    def tell(self, line: bytes) -> None:
        """Hands it a line; `line` has no line end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died; its exit code says why
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()

    def hear(self, seconds: float | None = None) -> bytes:
        """Its next line; b"" once there are no more, and without a line end if it died meanwhile.

        Args:
            seconds: how long to wait for it, or None for as long as it takes.

        Raises:
            TimeoutError: no line came.
        """
        assert self._process.stdout is not None
        until = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._heard:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._process.stdout], [], [], left)[0]:
                raise TimeoutError
            # Not through the pipe's buffer, in which `select` sees nothing.
            read = os.read(self._process.stdout.fileno(), _TAIL)
            if not read:
                break
            self._heard += read
        line, end, self._heard = self._heard.partition(b"\n")
        return line + end

    def wait(self, seconds: float | None = None) -> int:
        """Its exit code; that of a signal is negative.

        Raises:
            TimeoutError: it did not end.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    def printed(self) -> str:
        """The last of what it wrote to standard error."""
        file = self._errors.fileno()
        start = max(0, os.fstat(file).st_size - _TAIL)
        return os.pread(file, _TAIL, start).decode("utf-8", "replace")

    def terminate(self) -> None:
        """Tells it alone to end: what it started may be what it needs to save its work."""
        self._process.terminate()

    def end(self, patience: float = 0.0) -> None:
        """Ends it, by force after `patience` seconds, and in any case all that it has started."""
        try:
            if patience:
                self.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # all are gone
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


@contextmanager
def start(
    module: str,
    environment: Mapping[str, str],
    log: Path | None = None,
    patience: float = 0.0,
    python: Path | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Child]:
    """Runs a module until this context is left, in a session of its own: Ctrl-C is for us alone.

    It has a temporary folder of its own, and what TensorFlow and libtpu leave there goes with it,
    however it ends. If we are killed, it removes the folder itself: `kill -9` of both leaves one.

    Args:
        module: full name of the module.
        environment: the whole environment of the child.
        log: a file to which its standard error is appended; None keeps no more than `printed`.
        patience: seconds that it has to end when the context is left.
        python: another interpreter than ours, of Python 3.11 or newer.
        arguments: the words of its command line.
    """
    interpreter = (str(python), *COMMAND[1:]) if python else COMMAND
    with (
        tempfile.TemporaryDirectory(prefix="effbench-", ignore_cleanup_errors=True) as scratch,
        log.open("ab+") if log else tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            (*interpreter, module, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env={**environment, "TMPDIR": scratch, SCRATCH: scratch},
        ) as process,
    ):
        child = Child(process, errors)
        try:
            yield child
        finally:
            child.end(patience)


def ask(
    module: str,
    question: bytes,
    answer: TypeAdapter[Answer],
    environment: Mapping[str, str],
    seconds: float | None,
) -> Answer:
    """Starts a module, hands it a line, and returns what it answers in its last one.

    Args:
        module: full name of the module.
        question: the line, without a line end.
        answer: reads the answer from JSON.
        environment: the whole environment of the child.
        seconds: how long the child has, or None for as long as it takes.

    Raises:
        RelayedError: an `EffbenchError` ended it.
        NoAnswerError: it ended in another way without an answer.
        TimeoutError: it did not end in time.
    """
    until = None if seconds is None else time.monotonic() + seconds

    def left() -> float | None:
        return None if until is None else max(0.0, until - time.monotonic())

    with start(module, environment) as child:
        child.tell(question)
        last = b""
        while line := child.hear(left()):
            last = line
        code = child.wait(left())
        printed = child.printed().strip().splitlines() or [""]
    if code == REFUSED:
        raise RelayedError(printed[-1])
    if code:
        raise NoAnswerError(code, printed[-1])
    try:
        return answer.validate_json(last)
    except ValidationError as error:
        raise NoAnswerError(code, f"it answered {beginning(last)}") from error


def beginning(line: bytes) -> str:
    """As much of a line as shows what it is."""
    return repr(line[:80].decode("utf-8", "replace"))


def ended(code: int, printed: str) -> str:
    """Why a child ended without an answer, from its exit code and its standard error."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (often the system out of memory)" if name == "SIGKILL" else ""
        return f"ended by {name}{hint}"
    lines = printed.strip().splitlines() or ["it said nothing"]
    return f"ended with code {code}: {' '.join(lines[-1].split())[:300]}"
