"""A process that takes part in a sweep with its share of a machine; it tells a launcher of it.

It reads what it is to do from standard input and writes events to standard output, and it ends when
its standard input does.
"""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydantic import TypeAdapter

from effbench import child_process
from effbench.child_process import REFUSED
from effbench.errors import EffbenchError, Interrupted
from effbench.hardware.shares import Share
from effbench.progress import Step
from effbench.records.store import Store
from effbench.sweep import scheduler
from effbench.sweep.events import Event
from effbench.sweep.scheduler import Taking


@dataclass(frozen=True)
class Part:
    """What to take part in: a sweep that is written down in `queue`, with a share of a machine."""

    results: Path
    queue: Path
    share: Share


@dataclass(frozen=True)
class Told:
    """An event, by the keys of its runs."""

    keys: tuple[str, ...]
    state: str
    step: Step | None = None
    text: str = ""


PART = TypeAdapter(Part)
TOLD = TypeAdapter(Told)


def main() -> int:
    """Takes part until nothing is left."""
    channel, asked = child_process.channel(), child_process.asked()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    part = PART.validate_json(next(asked))
    part.share.pin()
    telling = threading.Lock()

    def tell(event: Event) -> None:
        told = Told(tuple(spec.key for spec in event.specs), event.state, event.step, event.text)
        with telling:
            channel.write(TOLD.dump_json(told, exclude_defaults=True) + b"\n")

    store = Store(part.results)
    try:
        scheduler.take(store, tell, Taking(only=part.queue))
    except EffbenchError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except Interrupted:
        return 1
    return 0


def _interrupted(*_: object) -> NoReturn:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
