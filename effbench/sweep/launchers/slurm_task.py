"""What an element of a SLURM array does: one group of runs of the sweep, the best that is open.

SLURM ends a job by SIGTERM, whether it is to run again later, was cancelled, or its time is up.
Then progress is saved first, and SLURM is asked which it was.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from effbench.config.recipes import resolved
from effbench.errors import EffbenchError, Interrupted
from effbench.failures import FailureKind
from effbench.progress import Step
from effbench.records.record import SCHEMA, RunFailure
from effbench.records.store import Store
from effbench.sweep import scheduler
from effbench.sweep.events import Event
from effbench.sweep.groups import Group
from effbench.sweep.progress_files import SHARE
from effbench.sweep.queues import Queue
from effbench.sweep.scheduler import Taking

# Sent before the time of a job is up, long enough to save a checkpoint.
TIME_IS_UP = signal.SIGUSR2
# How long SLURM may take to answer.
_SECONDS = 10

# By the state of a job, what has ended its run; in other states it runs again.
_ENDS = {
    "CANCELLED": (FailureKind.KILLED, "the job was cancelled (scancel)"),
    "TIMEOUT": (
        FailureKind.INTERRUPTED,
        "the time limit of the job came before a checkpoint: give --slurm a longer time",
    ),
}


def run(results: str, queue: str, token: str) -> None:
    """Does one group.

    Args:
        results: the results folder.
        queue: the folder of the sweep.
        token: a file that the sweep's machine has put there.

    Raises:
        EffbenchError: this node sees another folder; or as `scheduler.take`.
    """
    if not Path(token).exists():
        raise EffbenchError(
            "all nodes must see the same results folder",
            f"{socket.gethostname()} has no {token}",
            "give --results on a file system that they share",
        )
    signals: list[int] = []

    def stop(number: int, _: object) -> NoReturn:
        signals.append(number)
        raise Interrupted

    for number in (signal.SIGTERM, TIME_IS_UP):
        signal.signal(number, stop)  # submitit's own would not end the run
    os.environ[SHARE] = f"job {_job()}"
    store = Store(Path(results))

    def cut_short(sweep: Queue, group: Group) -> None:
        for number in (signal.SIGTERM, TIME_IS_UP):  # it is ending already
            signal.signal(number, signal.SIG_IGN)
        if TIME_IS_UP in signals:
            if any(any(store.checkpoints(spec.key).rglob("step-*")) for spec in group.specs):
                _scontrol("requeue", _job())
                return
            state = "TIMEOUT"
        else:
            state = _state()
        if state in _ENDS:
            end(store, sweep, group, *_ENDS[state])

    try:
        scheduler.take(store, _print, Taking(only=Path(queue), most=1, cut_short=cut_short))
    except Interrupted:
        print("interrupted", flush=True)


def end(store: Store, queue: Queue, group: Group, kind: FailureKind, message: str) -> None:
    """Keeps a failure for each run of a group that has no record, and notes that it was tried."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for spec in group.specs:
        standard = resolved(spec.recipe.name, spec.variant)
        store.save(RunFailure(SCHEMA, spec, kind, message, "", now, standard))
    queue.settle(group)


def _print(event: Event) -> None:
    """A line for the log of the job."""
    step = event.step or Step("")
    if step.phase and step.done not in (0, step.total):
        return
    words = (event.specs[0].worker, event.state, step.phase, event.text)
    print(" ".join(filter(None, words)), flush=True)


def _job() -> str:
    """What SLURM calls this job: of an array, its number in it.

    The last job of an array has the array's own id as its SLURM_JOB_ID, which would name them all.
    """
    array, index = (os.environ.get(f"SLURM_ARRAY_{part}_ID", "") for part in ("JOB", "TASK"))
    return f"{array}_{index}" if array else os.environ.get("SLURM_JOB_ID", "")


def _state() -> str:
    """What becomes of this job, which is being ended, in SLURM's words; "" if it does not say.

    Until all of its processes are gone it is COMPLETING, and only the number of its starts tells
    whether it is to run again.
    """
    shown = _scontrol("show", "job", "--oneliner", _job())
    facts = dict(re.findall(r"\b(JobState|Restarts)=(\w+)", shown))
    state = facts.get("JobState", "")
    if state != "COMPLETING":
        return state
    again = int(facts.get("Restarts", 0)) > int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    return "PENDING" if again else "CANCELLED"


def _scontrol(*arguments: str) -> str:
    try:
        return subprocess.run(
            ("scontrol", *arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
