"""How much memory something takes for a while."""

import tracemalloc
from collections.abc import Callable


def extra(work: Callable[[], object]) -> int:
    """Bytes that `work` holds at most, of arrays too, beside what was there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
