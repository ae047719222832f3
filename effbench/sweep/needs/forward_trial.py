"""Two seconds of forward passes, where no record says how long a network takes on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from effbench import subprocesses
from effbench.errors import EffbenchError
from effbench.hardware import tpu
from effbench.sweep.groups import Group
from effbench.sweep.needs.estimates import counted
from effbench.sweep.needs.timed_processes import TimedProcess
from effbench.sweep.resolve import Request
from effbench.training.job import Job

MODULE = "effbench.sweep.needs.forward_trial_worker"
SECONDS = 2.0
# How long it may take until the passes begin: XL takes a minute to compile on two cores.
PATIENCE = 600.0


@dataclass(frozen=True)
class Question:
    """What is to be timed: the network of a job, for so many images in all."""

    job: Job
    images: int


@dataclass(frozen=True)
class Passes:
    """What came out.

    Attributes:
        images: that went through the network.
        seconds: that they took.
        before: seconds until the first of them, from the start of the process on.
        engine: what ran it.
        device_name: what the machine calls the device.
    """

    images: int
    seconds: float
    before: float
    engine: str
    device_name: str


QUESTION = TypeAdapter(Question)
PASSES = TypeAdapter(Passes)


def measured(request: Request, group: Group) -> TimedProcess | None:
    """Times the network of a group as its run would begin, on random weights; None if it cannot."""
    spec, target = group.specs[0], request.target
    counts = counted(spec, request.images)
    job = Job(
        specs=group.specs[:1],
        results=Path(),  # nothing is written
        data_dir=None,
        weights_file=None,
        weights_sha256="",
        device=target.device,
        sent=time.time(),
        replicas=request.options.device.replicas,
        tpu_name=target.tpu_name,
        engine=target.engine,
    )
    environment = tpu.for_child(target.tpu_name if target.device == "tpu" else "")
    environment.pop("TF_CONFIG", None)  # the other hosts take no part
    try:
        passes = subprocesses.ask(
            MODULE, QUESTION.dump_json(Question(job, counts.all)), PASSES, environment, PATIENCE
        )
    except (EffbenchError, TimeoutError, subprocesses.NoAnswerError):
        return None  # whatever is wrong, the runs themselves say it better
    return TimedProcess(
        spec=spec,
        counts=counts,
        engine=passes.engine,
        device=target.device,
        device_name=passes.device_name,
        weights_sha256="",
        passes=float(passes.images),
        fixed=passes.before,
        network_seconds=passes.seconds,
        head_seconds=None,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        kept=True,
        warm=True,
    )
