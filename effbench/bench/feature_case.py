"""What `effbench bench features` asks of the processes that it times: the standard library alone.

A peer's process may have another interpreter, with none of effbench's packages.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from effbench import child_process

# Side of the images that are given, pixels.
IMAGE = 32


@dataclass(frozen=True)
class FeatureCase:
    """Forward passes that a process of its own is timed at.

    Attributes:
        variant: effbench's name of the network.
        image_size: pixels that it sees; the images that it is given are resized inside.
        batch: images of a call, uint8 [batch, 32, 32, 3].
        precision: "float32" or "mixed_bfloat16".
        tool: what runs it: a key of `engines.engine_table.ENGINES`, or of `feature_speed.PEERS`.
        way: how, where there are several: "eager" or "compiled"; else "".
        ours: whether it is one of effbench's engines.
        device: kind of device.
    """

    variant: str
    image_size: int
    batch: int
    precision: str
    tool: str
    way: str = ""
    ours: bool = True
    device: str = "cpu"


@dataclass(frozen=True)
class Prepared:
    """A case that can be run.

    Attributes:
        call: computes the features of one batch.
        version: of what runs it.
        difference: how far its features are from TensorFlow's in float32, relative to their norm;
            None where its weights are others.
    """

    call: Callable[[], object]
    version: str
    difference: float | None = None


def serve(prepare: Callable[[FeatureCase], Prepared], refused: type[Exception]) -> int:
    """The child's part: reads a case, says that it is ready, then how long the calls of turns took.

    A line in is a case, then the seconds of each turn; a line out has a "problem", or is about what
    is ready, or has the "calls" of a turn, seconds each.

    Args:
        prepare: makes a case ready, and calls it once.
        refused: errors whose text is the problem as it is.
    """
    channel, asked = child_process.channel(), child_process.asked()

    def say(**words: object) -> None:
        channel.write(json.dumps(words).encode() + b"\n")

    began = time.perf_counter()
    try:
        ready = prepare(FeatureCase(**json.loads(next(asked))))
        first = time.perf_counter() - began
        say(version=ready.version, difference=ready.difference, first=first)
        for line in asked:
            say(calls=_turn(ready.call, float(line)))
    except refused as error:
        say(problem=str(error))
        return 1
    except Exception as error:  # whatever a peer fails with, the others are timed
        say(problem=child_process.described(error)[:300])
        return 1
    return 0


def question(case: FeatureCase) -> bytes:
    """A case as a line."""
    return json.dumps(asdict(case)).encode()


def _turn(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call, for so long; the first one only warms caches, and does not count."""
    call()
    calls: list[float] = []
    end = time.perf_counter() + seconds
    while not calls or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        calls.append(time.perf_counter() - began)
    return calls
