"""Pieces of `workloads`, timed in fresh processes: what is timed, and the messages about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import TypeAdapter

from effbench import subprocesses
from effbench.errors import EffbenchError

MODULE = "effbench.bench.work_timing_worker"


@dataclass(frozen=True)
class Timing:
    """One thing measured.

    Attributes:
        what: what was done.
        seconds: wall-clock time that it took.
        memory: the most bytes that its process held.
    """

    what: str
    seconds: float
    memory: int = 0


# The name of a function of `workloads`, and its arguments.
Work: TypeAlias = tuple[str | int | bool, ...]
WORK: TypeAdapter[Work] = TypeAdapter(Work)
# Seconds, and the most bytes that the process held.
COST: TypeAdapter[tuple[float, int]] = TypeAdapter(tuple[float, int])


def best(work: dict[str, Work], rounds: int) -> tuple[Timing, ...]:
    """Each piece of work in turn, `rounds` times over, in fresh processes; the fastest of each.

    Raises:
        EffbenchError: a piece of work ended without being timed.
    """
    fastest: dict[str, Timing] = {}
    for _ in range(rounds):
        for what, call in work.items():
            seconds, memory = _timed(what, call)
            if what not in fastest or seconds < fastest[what].seconds:
                fastest[what] = Timing(what, seconds, memory)
    return tuple(fastest.values())


def _timed(what: str, call: Work) -> tuple[float, int]:
    try:
        # However long it takes: only who asks knows how much he wants measured.
        return subprocesses.ask(MODULE, WORK.dump_json(call), COST, os.environ, None)
    except subprocesses.NoAnswerError as error:
        raise EffbenchError(
            "every piece of work is timed to its end", f"{what}: {error}", "measure less of it"
        ) from error
