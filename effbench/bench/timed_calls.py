"""A process that is timed at calls of one function: the standard library alone.

A peer's process may have another interpreter, with none of effbench's packages.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

from effbench import child_process

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Question = TypeVar("Question")
# From a call and how long it is to be repeated, as it was written, to the seconds of each.
Turn = Callable[[Callable[[], object], bytes], list[float]]


@dataclass(frozen=True)
class Prepared:
    """A case that can be run.

    Attributes:
        call: does the work once.
        version: of what runs it.
        difference: how far its features are from TensorFlow's in float32, relative to their norm;
            None where its weights are others.
    """

    call: Callable[[], object]
    version: str
    difference: float | None = None


def serve(
    kind: Callable[..., Question],
    prepare: Callable[[Question], Prepared],
    turn: Turn,
    refused: type[Exception],
) -> int:
    """Reads a case, says that it is ready, then how long the calls of turns took.

    A line in is a case, then how long each turn is; a line out has a "problem", or is about what
    is ready, or has the "calls" of a turn, seconds each.

    Args:
        kind: makes a case of its fields.
        prepare: makes a case ready, and calls it once.
        turn: `for_seconds` or `so_many`.
        refused: errors whose text is the problem as it is.
    """
    channel, asked = child_process.channel(), child_process.asked()

    def say(**words: object) -> None:
        channel.write(json.dumps(words).encode() + b"\n")

    began = time.perf_counter()
    try:
        ready = prepare(kind(**json.loads(next(asked))))
        first = time.perf_counter() - began
        say(version=ready.version, difference=ready.difference, first=first)
        for line in asked:
            say(calls=turn(ready.call, line))
    except refused as error:
        say(problem=str(error))
        return 1
    except Exception as error:  # whatever a peer fails with, the others are timed
        say(problem=child_process.described(error)[:300])
        return 1
    return 0


def question(case: DataclassInstance) -> bytes:
    """A case as a line."""
    return json.dumps(asdict(case)).encode()


def for_seconds(call: Callable[[], object], seconds: bytes) -> list[float]:
    """Seconds of each call, for so long; the first one only warms caches, and does not count."""
    call()
    calls: list[float] = []
    end = time.perf_counter() + float(seconds)
    while not calls or time.perf_counter() < end:
        calls.append(_timed(call))
    return calls


def so_many(call: Callable[[], object], count: bytes) -> list[float]:
    """Seconds of each of so many calls, after one that does not count."""
    call()
    return [_timed(call) for _ in range(int(count))]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
