"""Workers that need no TensorFlow: they sleep a while, write a record, and say so.

Run as a script it is the command line, or the module that it is told, with such workers in the
process itself.
"""

import os
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

# As a script, the folder of the tests is not on the path yet.
sys.path.append(str(Path(__file__).parents[1]))

from support.options import sweep_options
from support.records import ranks, result

from effbench.failures import FailureKind
from effbench.progress import Step
from effbench.records.store import Store
from effbench.sweep import worker_process
from effbench.sweep.resolve import Request, resolve
from effbench.training.job import Job, Message, Problem

# How long a run takes.
SECONDS = "NO_OP_SECONDS"


def path() -> str:
    """What PYTHONPATH must be for a process and its children to have such workers."""
    here = str(Path(__file__).with_name("at_no_op"))
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


def request(**changes: object) -> Request:
    """A sweep of heads on random weights: a group for each variant."""
    plain = {"variants": "B0", "weights": "none", "data": "digits", "device": "cpu"}
    return resolve(sweep_options(**(plain | changes)))


def work(
    job: Job,
    left: Collection[str],
    log: Path,
    settle: Callable[[Message], None],
    waiting: Callable[[str], None],
    lost: Callable[[], bool] = lambda: False,
) -> Problem | None:
    """What `worker_process.work` does, with `run_job`'s care for who may write."""
    store = Store(job.results)
    for spec in job.specs:
        settle(Message(Step("train", 1, 2, "epochs")))
        time.sleep(float(os.environ.get(SECONDS, "0")))
        if job.claim is not None and not job.claim.holds():
            return Problem(FailureKind.INTERRUPTED, "another worker has taken it over")
        saved = store.save_predictions(spec.key, ranks(result()))
        made = replace(result().provenance, device_name=f"process {os.getpid()}")
        record = replace(result(), spec=spec, predictions=saved, provenance=made)
        if store.save(record, first=not job.execution.force):
            with (store.directory / ".writes").open("a") as writes:
                writes.write(f"{spec.key}\n")
        settle(Message(key=spec.key, saved=True))
    return None


if __name__ == "__main__":
    from importlib import import_module

    worker_process.work = work
    module = sys.argv[1] if sys.argv[1].startswith("effbench.") else "effbench.cli.main"
    sys.exit(import_module(module).main())
