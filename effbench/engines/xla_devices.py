"""How many devices XLA drives together, asked in a process of its own.

The sweep cannot ask by itself, for the reasons in `hardware.self_check`.
"""

from __future__ import annotations

import os
import sys

from pydantic import TypeAdapter

from effbench import child_process, subprocesses
from effbench.errors import DeviceError

# The longest wait for an answer: all chips of a TPU start in less than a minute.
SECONDS = 120

_COUNT = TypeAdapter(int)


def count(kind: str) -> int:
    """The devices of a kind, "gpu" or "tpu", that JAX can use.

    Raises:
        EffbenchError: it can use none; the line says why.
    """
    try:
        return subprocesses.ask(
            "effbench.engines.xla_devices", kind.encode(), _COUNT, os.environ, SECONDS
        )
    except TimeoutError as error:
        hint = "is another program using it?"
        raise DeviceError(f"the {kind} must answer", f"nothing in {SECONDS} s", hint) from error
    except subprocesses.NoAnswerError as error:
        raise unusable(kind, error) from error


def unusable(kind: str, error: Exception) -> DeviceError:
    """The error of a kind of device that JAX cannot use, with what it said."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    hint = "check the driver and the plugin of JAX, or use --engine tensorflow"
    if kind == "gpu":
        hint = f"{hint}; for a driver that knows no CUDA 13: pip install 'effbench[gpu-xla-cuda12]'"
    return DeviceError(f"JAX cannot use the {kind.upper()}", line, hint)


def main() -> int:
    """Reads a kind of device, and answers with how many there are."""
    answer = child_process.channel()
    kind = next(child_process.asked()).decode()
    from effbench.engines import pjrt

    answer.write(_COUNT.dump_json(len(pjrt.devices(kind))) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
