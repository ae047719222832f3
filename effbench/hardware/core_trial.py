"""How many processes, with their part of the cores each, do the most on this CPU together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from pydantic import TypeAdapter

from effbench import subprocesses
from effbench.cpu import cores
from effbench.errors import EffbenchError
from effbench.hardware import shares, tpu
from effbench.hardware.shares import Share

MODULE = "effbench.hardware.core_trial_worker"

# More processes need more memory, and have to be worth it.
_GAIN = 1.05
# How long a process may take to start and to be timed.
_SECONDS = 120.0

RATE = TypeAdapter(float)
SHARE = TypeAdapter(Share)


def best() -> int:
    """How many processes; twice as many are tried as long as they do more together."""
    count, fastest = 1, together(shares.divide("cpu", 1))
    while 2 * count <= cores():
        rate = together(shares.divide("cpu", 2 * count))
        if rate < fastest * _GAIN:
            break
        count, fastest = 2 * count, rate
    return count


def together(parts: Sequence[Share]) -> float:
    """Images a second of a small network, of one process on each share at the same time.

    Raises:
        EffbenchError: one of them ended without an answer.
    """
    with ExitStack() as stack:
        children = []
        for share in parts:
            environment = tpu.for_child("") | dict(share.environment)
            child = stack.enter_context(subprocesses.start(MODULE, environment))
            child.tell(SHARE.dump_json(share))
            children.append(child)
        for child in children:  # all are ready before one begins
            _answer(child)
        for child in children:
            child.tell(b"go")
        return sum(RATE.validate_json(_answer(child)) for child in children)


def _answer(child: subprocesses.Child) -> bytes:
    line = child.hear(_SECONDS)
    if not line.endswith(b"\n"):
        why = subprocesses.ended(child.wait(_SECONDS), child.printed())
        raise EffbenchError("cannot time this CPU", why, f"give --parallel 1 to {os.cpu_count()}")
    return line
