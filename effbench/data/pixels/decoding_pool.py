"""Tasks with images, done on all cores.

The workers are processes of their own that end with their parent, however that ends. Unlike those
of `multiprocessing`, they do not load what the parent's main module loads: TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Protocol, TypeVar

from pydantic import TypeAdapter

from effbench import subprocesses
from effbench.cpu import cores
from effbench.data.pixels.decoding_tasks import TASK
from effbench.errors import DataError
from effbench.subprocesses import Child, NoAnswerError

MODULE = "effbench.data.pixels.decoding_worker"
# Images of a task: enough to be worth a line, few enough for progress to be seen.
BATCH = 16
# So many tasks are done before workers have started.
FEW = 4

Item = TypeVar("Item")
Answer_co = TypeVar("Answer_co", covariant=True)


class Doable(Protocol[Answer_co]):
    """A task of `decoding_tasks`."""

    def do(self) -> tuple[Answer_co, ...]:
        """Does it, here and now."""


def batches(items: Sequence[Item]) -> list[Sequence[Item]]:
    """The items in batches of `BATCH`, the last of which may be smaller."""
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def done(
    tasks: Sequence[Doable[Answer_co]], answers: type[Answer_co]
) -> Iterator[tuple[int, tuple[Answer_co, ...]]]:
    """The answers to each task, as they come.

    Args:
        tasks: all of one kind.
        answers: the type of one answer.

    Yields:
        the task's position, and its answers.

    Raises:
        DataError: a worker died, as a decoder may of a malicious file.
    """
    count = min(cores(), len(tasks))
    if len(tasks) <= FEW or count == 1:
        for position, task in enumerate(tasks):
            yield position, task.do()
        return
    reader: TypeAdapter[tuple[Answer_co, ...]] = TypeAdapter(tuple[answers, ...])  # type: ignore[valid-type]
    idle: SimpleQueue[Child] = SimpleQueue()

    def ask(task: Doable[Answer_co]) -> tuple[Answer_co, ...]:
        child = idle.get()
        child.tell(TASK.dump_json(task))  # type: ignore[arg-type]
        line = child.hear()
        idle.put(child)
        if not line.endswith(b"\n"):
            raise NoAnswerError(child.wait(), child.printed())
        return reader.validate_json(line)

    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(count))
        for _ in range(count):
            idle.put(stack.enter_context(subprocesses.start(MODULE, os.environ)))
        futures = {threads.submit(ask, task): position for position, task in enumerate(tasks)}
        # Before the workers are ended, so that no task is left to ask them.
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        for future in as_completed(futures):
            try:
                answer = future.result()
            except NoAnswerError as error:
                raise DataError(
                    "a process that decodes images ended", str(error), "run it again"
                ) from error
            yield futures.pop(future), answer
