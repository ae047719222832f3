"""The worker process of a job as the sweep sees it: what it says, and why it ends early."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

from pydantic import ValidationError

from effbench import subprocesses
from effbench.errors import Interrupted
from effbench.failures import FailureKind
from effbench.hardware import machine, tpu
from effbench.subprocesses import Child
from effbench.training.job import JOB, MESSAGE, Job, Message, Problem

MODULE = "effbench.sweep.worker"

# Lets a worker do a job somewhere; what `work` takes and returns.
Work = Callable[
    [
        Job,
        Collection[str],
        Path,
        Callable[[Message], None],
        Callable[[str], None],
        Callable[[], bool],
    ],
    Problem | None,
]

# How long a worker may take to end once it is told to.
STOP_SECONDS = 3.0

# The time in which all processes of a job are told to end.
_TURN_SECONDS = 1.0

# How the names of phases begin in which nothing looks for signals.
COMPILING = "compile"

# Phases in which there is nothing to save yet.
UNTRAINED = ("", "build")


def work(
    job: Job,
    left: Collection[str],
    log: Path,
    settle: Callable[[Message], None],
    waiting: Callable[[str], None],
    lost: Callable[[], bool] = lambda: False,
) -> Problem | None:
    """Lets a worker do a job, and says why it ended early; None if it did not.

    Args:
        job: what the worker is to do.
        left: keys of the runs that are not settled yet; `settle` removes those that it settles.
        log: to which the worker's output is appended.
        settle: called with all that the worker says of its progress and its runs.
        waiting: told what an interrupted sweep waits for.
        lost: whether another machine has taken the runs over, so that nothing may be written.
    """
    kills = machine.oom_kills()
    environment = tpu.for_child(job.tpu_name if job.device == "tpu" else "")
    problem: Problem | None = None
    phase = ""
    with subprocesses.start(MODULE, environment, log, STOP_SECONDS) as worker:
        worker.tell(JOB.dump_json(job))
        try:
            # A line without an end comes from a worker that died while it wrote.
            while (line := worker.hear()).endswith(b"\n"):
                message = _message(line, left)
                if lost():
                    worker.end()
                    return Problem(FailureKind.INTERRUPTED, "another worker has taken it over")
                if message is None:
                    worker.end()
                    said = subprocesses.beginning(line)
                    return Problem(FailureKind.CRASH, f"the worker said what is no message: {said}")
                problem = problem or (message.problem if message.key is None else None)
                phase = message.step.phase if message.step else phase
                settle(message)
        except BaseException as error:
            if job.specs[0].recipe.way.saves_progress and phase not in UNTRAINED:
                if isinstance(error, Interrupted):
                    _let_it_save(worker, phase, left, settle, waiting)
                else:  # e.g. nobody reads what we print any more
                    _let_it_save(worker, phase, left, _unheard, _unheard)
            raise
        return problem or _death(worker, left, machine.oom_kills() > kills)


def _unheard(_: object) -> None:
    pass


def _message(line: bytes, left: Collection[str]) -> Message | None:
    """What a worker says; None if that is no message, or is about a run that is not left."""
    try:
        message = MESSAGE.validate_json(line)
    except ValidationError:
        return None
    return message if message.key is None or message.key in left else None


def _let_it_save(
    worker: Child,
    phase: str,
    left: Collection[str],
    settle: Callable[[Message], None],
    waiting: Callable[[str], None],
) -> None:
    """Waits as long as a worker takes to save what it has; another interruption ends it at once.

    A worker looks for signals between training steps, and compiles for minutes before the first:
    that is said at once.
    """
    worker.terminate()
    seconds: float | None = 0.0 if phase.startswith(COMPILING) else STOP_SECONDS
    try:
        while True:
            try:
                line = worker.hear(seconds)
            except TimeoutError:
                waiting(f"waits for {phase} to come to where it can be saved")
                seconds = None
                continue
            message = _message(line, left)
            if message is None:
                return
            if message.step is not None and message.step.phase != phase:
                phase, seconds = message.step.phase, STOP_SECONDS
            settle(message)
    except BaseException:
        worker.end()
        raise


def _death(worker: Child, left: Collection[str], oom: bool) -> Problem | None:
    """Why a worker ended without a word; None if it said all it had to.

    Args:
        worker: the worker that ended.
        left: keys of the runs of which it said nothing.
        oom: whether the system has ended a process meanwhile, because it was out of memory.
    """
    code = worker.wait()
    if code == -signal.SIGTERM:
        # Who ends a whole job tells its processes in any order: our turn may come a moment later.
        time.sleep(_TURN_SECONDS)
    if code == 0:
        words = "the worker process ended as if all was well, without a result"
        return Problem(FailureKind.CRASH, words) if left else None
    if code == -signal.SIGKILL and oom:
        words = "the system was out of memory and ended the worker"
        return Problem(FailureKind.OUT_OF_MEMORY, words)
    why = subprocesses.ended(code, worker.printed())
    kind = FailureKind.KILLED if code < 0 else FailureKind.CRASH
    return Problem(kind, f"the worker process failed: {why}")
