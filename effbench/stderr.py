"""Keeps libraries quiet that write to standard error by themselves."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from effbench.errors import EffbenchError, Interrupted


@contextmanager
def hushed() -> Iterator[None]:
    """Holds back what TensorFlow's C++ part prints about missing GPUs, unless there is a bug."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (EffbenchError, Interrupted):
            raise
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
