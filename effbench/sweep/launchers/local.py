"""Runs on this machine: one after the other, or beside each other with a share of it each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from queue import SimpleQueue

from effbench import subprocesses
from effbench.child_process import REFUSED
from effbench.config.sweep_options import LaunchOptions
from effbench.errors import EffbenchError, Interrupted, RelayedError, UsageError
from effbench.hardware import core_trial, shares
from effbench.hardware.shares import Share
from effbench.subprocesses import Child
from effbench.sweep import groups, queues, scheduler
from effbench.sweep.events import Event
from effbench.sweep.launchers.launcher import Launch
from effbench.sweep.progress_files import SHARE
from effbench.sweep.queues import Queue
from effbench.sweep.scheduler import Counting, SweepCounts
from effbench.sweep.work_process import PART, TOLD, Part

AUTO = "auto"
MODULE = "effbench.sweep.work_process"


def check(options: LaunchOptions) -> None:
    """Makes sure that `parallel` is a number or "auto".

    Raises:
        UsageError: it is not.
    """
    text = options.parallel
    if text not in (None, AUTO) and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError("--parallel is a number from 1 on, or auto", text, "leave it out for 1")


def start(launch: Launch) -> SweepCounts:
    """Does the runs.

    Raises:
        EffbenchError: as `scheduler.run`.
    """
    if launch.options.parallel is None:
        return scheduler.run(launch.request, launch.store, launch.listen)
    count = len(groups.of(launch.request.specs))
    parts = _shares(launch.options.parallel, launch.request.target.device, count, launch.say)
    queue = queues.write(launch.store, launch.request)
    heard = Counting(launch.listen)
    _beside_each_other(launch, queue, parts, heard)
    return heard.counts


def _shares(parallel: str, device: str, most: int, say: Callable[[str], None]) -> list[Share]:
    """The shares of this machine; no more than there are groups."""
    if parallel != AUTO:
        parts = shares.divide(device, int(parallel))
        return parts if len(parts) <= most else shares.divide(device, most)
    best = len(shares.accelerators(device))
    if not best and most > 1:
        say("--parallel auto: times how many runs at once this machine's cores do best")
        best = core_trial.best()
    parts = shares.divide(device, max(1, min(best, most)))
    say(f"--parallel auto: {len(parts)} at a time")
    return parts


def _beside_each_other(launch: Launch, queue: Queue, parts: list[Share], heard: Counting) -> None:
    specs = {spec.key: spec for spec in launch.request.specs}
    lines: SimpleQueue[tuple[Child, bytes]] = SimpleQueue()
    ends: dict[int, str] = {}
    with ExitStack() as stack:
        children = []
        for share in parts:
            environment = {**os.environ, **share.environment, SHARE: share.name}
            child = stack.enter_context(subprocesses.start(MODULE, environment))
            child.tell(PART.dump_json(Part(launch.store.directory, queue.folder, share)))
            threading.Thread(target=_hear, args=(child, lines), daemon=True).start()
            children.append(child)
        interrupted = False
        while len(ends) < len(children):
            try:
                child, line = lines.get()
                if not line.endswith(b"\n"):  # it ended, whether or not it was in a line
                    ends[child.pid] = _end(child)
                    continue
                told = TOLD.validate_json(line)
                if told.state != "waiting":  # for another part of this very sweep
                    runs = tuple(specs[key] for key in told.keys)
                    heard(Event(runs, told.state, told.step, told.text))
            except Interrupted:
                if interrupted:
                    raise
                interrupted = True
                for child in children:
                    child.terminate()
        if interrupted:
            raise Interrupted
    wrong = next(filter(None, ends.values()), "")
    if wrong:
        launch.say(wrong)
    if queue.folder.exists() and queue.open():
        raise RelayedError(wrong or "the workers ended before the runs did; run it again")


def _hear(child: Child, lines: SimpleQueue[tuple[Child, bytes]]) -> None:
    while (line := child.hear()).endswith(b"\n"):
        lines.put((child, line))
    lines.put((child, b""))


def _end(child: Child) -> str:
    """Why a worker ended early; "" if it did not."""
    code = child.wait()
    if code == 0:
        return ""
    if code == REFUSED:
        return child.printed().strip().splitlines()[-1]
    rule = "a worker ended before its runs did"
    return str(EffbenchError(rule, subprocesses.ended(code, child.printed()), "run it again"))
