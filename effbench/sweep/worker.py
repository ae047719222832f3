"""A process of its own for one group of runs.

It reads a job from standard input and writes messages to standard output.

It ends when its standard input does, so that it never outlives the sweep that started it.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from effbench import child_process
from effbench.engines import tensorflow_programs
from effbench.errors import EffbenchError
from effbench.failures import FailureKind
from effbench.files import NO_ROOM
from effbench.hardware.tensorflow_setup import tf
from effbench.sweep import run_job
from effbench.training.job import JOB, MESSAGE, Job, Message, Problem


def main() -> int:
    """Reads a job, does it, and says how it went."""
    channel, asked = child_process.channel(), child_process.asked()
    sending = threading.Lock()

    def send(message: Message) -> None:
        with sending:
            channel.write(MESSAGE.dump_json(message, exclude_defaults=True) + b"\n")

    job = JOB.validate_json(next(asked))
    stop = threading.Event()
    if job.specs[0].recipe.way.saves_progress:
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with _keeping_programs(job, send):
            run_job.run(job, send, stop.is_set)
    except EffbenchError as error:
        send(Message(problem=Problem(error.kind, str(error))))
        return 1
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        send(Message(problem=Problem(FailureKind.OUT_OF_MEMORY, _too_much(job, error))))
        raise
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        text = f"the device was lost in a program: {child_process.described(error)}"
        send(Message(problem=Problem(FailureKind.DEVICE_LOST, text)))
        raise
    except Exception as error:
        send(Message(problem=_unexpected(error)))
        raise
    return 0


def _keeping_programs(job: Job, send: Callable[[Message], None]) -> AbstractContextManager[None]:
    """What TensorFlow compiles is kept where it is worth it."""
    spec = job.specs[0]
    if job.device != "cpu" or spec.recipe.way.frozen_backbone:
        return nullcontext()
    return tensorflow_programs.kept(spec.group, lambda step: send(Message(step)))


def _unexpected(error: Exception) -> Problem:
    """What a bug is, and a full disk of this machine, which says nothing of the runs."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        what = error.filename or "a file of this machine"
        text = f"cannot write {what}: {error.strerror}; free some space there"
        return Problem(FailureKind.DISK, text)
    return Problem(FailureKind.CRASH, child_process.described(error))


def _too_much(job: Job, error: BaseException) -> str:
    """What did not fit into memory, and what may help."""
    where = re.search(r"OOM when [^\n]*?\]", str(error))
    what = where[0] if where else child_process.described(error)
    if not job.specs[0].recipe.way.micro_batches:
        return f"out of memory: {what}"
    images = job.images_at_once
    hint = f"; a smaller --micro-batch may help, e.g. {images // 2}" if images > 1 else ""
    return f"out of memory with {images} images at once: {what}{hint}"


if __name__ == "__main__":
    sys.exit(main())
