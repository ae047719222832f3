"""An engine tried in a process of its own: what is installed may still not load, or not run."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from pydantic import TypeAdapter

from effbench import child_process, subprocesses
from effbench.errors import DeviceError, EffbenchError

# The longest wait for an answer: all chips of a TPU start in less than a minute.
SECONDS = 120


@dataclass(frozen=True)
class Trial:
    """What came out.

    Attributes:
        version: of what compiles and runs.
        precisions: rows of `PRECISIONS` that it computes in.
    """

    version: str
    precisions: tuple[str, ...]


_WANTED = TypeAdapter(tuple[str, str])
_TRIAL = TypeAdapter(Trial)


def ask(name: str, kind: str) -> Trial:
    """Starts an engine on a kind of device and lets it run a tiny function. Takes some seconds.

    Args:
        name: a key of `engine_table.ENGINES`, which lacks nothing.
        kind: "cpu", "gpu" or "tpu".

    Raises:
        EffbenchError: it does not run; the line says why.
    """
    hint = "install it again, or use --engine tensorflow"
    try:
        return subprocesses.ask(
            "effbench.engines.engine_trial",
            _WANTED.dump_json((name, kind)),
            _TRIAL,
            os.environ,
            SECONDS,
        )
    except TimeoutError as error:
        raise DeviceError(f"{name} must answer", f"nothing in {SECONDS} s", hint) from error
    except subprocesses.NoAnswerError as error:
        raise DeviceError(f"{name} cannot run", str(error), hint) from error


def main() -> int:
    """Reads which engine to try, tries it in every precision, and says what came out."""
    answer = child_process.channel()
    name, kind = _WANTED.validate_json(next(child_process.asked()))
    import numpy as np

    from effbench.config.precisions import PRECISIONS
    from effbench.engines import engine_table
    from effbench.hardware.tensorflow_setup import tf

    ones = np.ones((8, 8), np.float32)
    refusal: EffbenchError | None = None
    version, able = "", list[str]()
    for precision in PRECISIONS.values():
        if kind not in precision.kinds:
            continue
        try:
            engine = engine_table.started(name, kind, precision, frozen_backbone=True).engine
            (product,) = engine.compile(lambda rows: tf.matmul(rows, rows))(ones)
            if (product != 8).any():
                raise DeviceError("a product of ones must be exact", str(product), "report a bug")
        except EffbenchError as error:
            refusal = error
        else:
            version = engine.version
            able.append(precision.name)
    if refusal is not None and not able:
        print(refusal, file=sys.stderr)
        return child_process.REFUSED
    answer.write(_TRIAL.dump_json(Trial(version, tuple(able))) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
