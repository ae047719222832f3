"""Files that keep one process out while another one works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from effbench.files import writing
from effbench.progress import Report, Step


@contextmanager
def held(path: Path, report: Report, waiting: str) -> Iterator[None]:
    """Holds a lock; it goes with its process, however that ends.

    Args:
        path: of the lock's file, which is made.
        report: told if another process has it.
        waiting: what to say then.

    Raises:
        DiskError: the file cannot be made.
    """
    lock = FileLock(path)
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(Step("wait", note=waiting))
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
