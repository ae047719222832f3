"""Keeps libraries quiet that write to standard error by themselves, and logs free of what they say.

What they say there is the same whatever becomes of a run.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from effbench.errors import EffbenchError, Interrupted

# What TensorFlow and Keras print in every process, with where in their code it comes from.
_ALWAYS = re.compile(
    r"""
    ^(?:
      (?:\d{4}-\d\d-\d\d\ [\d:.]+:\ [IWE]|[IWE]\d{4}\ [\d:.]+\ +\d+)\ [\w/.]+:\d+\]\ +
      (?:
        Unable\ to\ register\ cu\w+\ factory
        |computation\ placer\ already\ registered
        |failed\ call\ to\ cuInit
        |Could\ not\ find\ cuda\ drivers
        |TF-TRT\ Warning:\ Could\ not\ find\ TensorRT
        |oneDNN\ custom\ operations\ are\ on
        |This\ TensorFlow\ binary\ is\ optimized\ to\ use
        |XLA\ service\ 0x
        |StreamExecutor\ device\ \(
        |Compiled\ cluster\ using\ XLA!
      ).*
      |WARNING:\ All\ log\ messages\ before\ absl::InitializeLog.*
      |To\ enable\ the\ following\ instructions:.*
      |.*UserWarning:\ The\ initializer\ \w+\ is\ unseeded.*(?:\n\ +warnings\.warn\()?
    )(?:\n|\Z)
    """,
    re.MULTILINE | re.VERBOSE,
)


def without_noise(log: str) -> str:
    """What is left of a process's log without the lines that TensorFlow prints in any process."""
    return _ALWAYS.sub("", log)


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
