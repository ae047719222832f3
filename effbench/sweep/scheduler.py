"""The sweep: plan the runs, skip the finished, a worker process for the rest, keep each at once."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from filelock import Timeout

from effbench import subprocesses
from effbench.config.recipes import resolved
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.errors import (
    FATAL_KINDS,
    CheckpointError,
    DataError,
    PreemptedError,
    RelayedError,
    WeightsError,
)
from effbench.files import write_atomically, writing
from effbench.hardware import machine
from effbench.hardware import tpu as tpus
from effbench.models import weights
from effbench.progress import Report, Step
from effbench.records.record import SCHEMA, RunFailure
from effbench.records.store import LOG, Store
from effbench.sweep.events import Event, Listen
from effbench.sweep.resolve import Request
from effbench.training.job import JOB, MESSAGE, Job, Message, Problem

# For a worker to end; one that trains a whole network saves it first.
STOP_SECONDS = {"head": 3.0, "network": 60.0}

# Kinds of problems whose cause lies outside the run, so that it is worth another try.
MENDABLE = (WeightsError.kind, DataError.kind, CheckpointError.kind, PreemptedError.kind)

# Kinds of problems whose one line is not the whole story.
UNEXPECTED = ("crash", "killed", "out-of-memory")


@dataclass(frozen=True)
class Outcome:
    """How many runs of a sweep were saved, failed, and were left as they were: done or failed."""

    saved: int
    failed: int
    finished: int
    failed_before: int


def states(request: Request, store: Store) -> dict[str, str]:
    """What the sweep would do with each run, by key: "run", "finished" or "failed before"."""
    return {spec.key: _state(request, store, spec) for spec in request.specs}


def run(request: Request, store: Store, listen: Listen) -> Outcome:
    """Does the runs of `request` that are not done yet; each is on disk as soon as it is finished.

    Groups that another sweep is at are left for the end, and then only waited for.

    Raises:
        EffbenchError: nothing more can be done, e.g. there is no such device or the disk is full.
    """
    return (_lead if request.chief else _follow)(request, store, listen)


def _follow(request: Request, store: Store, listen: Listen) -> Outcome:
    """Takes part in what the chief of several hosts does; what is written here is thrown away."""
    todo = tuple(spec for spec in request.specs if _state(request, store, spec) == "run")

    def heard(event: Event) -> None:
        listen(replace(event, text="by the chief") if event.state == "saved" else event)

    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        return _lead(replace(request, specs=todo), Store(Path(folder)), heard)


def _lead(request: Request, store: Store, listen: Listen) -> Outcome:
    store.prepare()
    groups = [tuple(group) for _, group in groupby(request.specs, key=lambda spec: spec.worker)]
    counts = dict.fromkeys(("saved", "failed", "finished", "failed before"), 0)

    def heard(event: Event) -> None:
        if event.state in counts:
            counts[event.state] += len(event.specs)
        listen(event)

    busy = [group for group in groups if not _locked(request, store, group, heard, wait=False)]
    for group in busy:
        heard(Event(group, "waiting"))
        _locked(request, store, group, heard, wait=True)
    return Outcome(*counts.values())


def _state(request: Request, store: Store, spec: RunSpec) -> str:
    if store.finished(spec.key) and not request.force:
        return "finished"
    failure = store.failure(spec.key)
    if failure is None or failure.kind in MENDABLE or request.retry_failed or request.force:
        return "run"
    if store.resumed(spec.key):  # a retry that was interrupted
        return "run"
    return "failed before"


def _locked(
    request: Request, store: Store, group: tuple[RunSpec, ...], listen: Listen, *, wait: bool
) -> bool:
    """Runs a group while no other sweep does; False if one does and we are not to wait."""
    if wait:  # what the other sweep did meanwhile is done, forced or not
        request = replace(request, force=False)
    try:
        with store.lock(group[0].worker).acquire(timeout=-1 if wait else 0):
            todo = []
            for spec in group:
                state = _state(request, store, spec)
                if state == "run":
                    todo.append(spec)
                    continue
                failure = store.failure(spec.key) if state == "failed before" else None
                text = failure.message if failure else store.doubt(spec.key)
                listen(Event((spec,), state, text=text))
            if todo:
                _attempt(request, store, tuple(todo), listen)
    except Timeout:
        return False
    return True


def _attempt(request: Request, store: Store, specs: tuple[RunSpec, ...], listen: Listen) -> None:
    """Runs some seeds of a group; what does not come out is kept as a failure."""
    listen(Event(specs, "started"))
    log = store.directory / ".logs" / f"{specs[0].worker}.log"
    with writing(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")

    def working(step: Step) -> None:
        listen(Event(specs, "working", step))

    try:
        file = _weights_file(request, specs[0], working)
    except WeightsError as error:
        _fail(store, specs, Problem(error.kind, str(error)), log, listen)
        return
    job = Job(
        specs=specs,
        results=store.directory,
        data_dir=request.data_dir,
        weights_file=file.path if file else None,
        weights_sha256=file.sha256 if file else "",
        device=request.device,
        sent=time.time(),
        replicas=request.replicas,
        tpu_name=request.tpu_name,
        checkpoint_minutes=request.checkpoint_minutes,
        tensorboard=request.tensorboard,
    )
    left = {spec.key: spec for spec in specs}
    problem = _work(job, left, store, log, listen)
    while problem is not None and _lacked_memory(problem, job) and request.oom_retry:
        half, odd = divmod(job.images_at_once, 2)
        if odd or job.specs[0].recipe.trains == "head":
            break
        listen(Event(specs, "started", text=f"again, in micro-batches of {half}: out of memory"))
        job = replace(job, micro_batch=half, sent=time.time())
        problem = _work(job, left, store, log, listen)
    if problem is not None and problem.kind in FATAL_KINDS:
        raise RelayedError(problem.message)
    if left and problem is not None:
        _fail(store, tuple(left.values()), problem, log, listen)
    log.unlink(missing_ok=True)


def _lacked_memory(problem: Problem, job: Job) -> bool:
    """Where it was short before, TensorFlow may also crash: that half was too much as well."""
    halved = job.micro_batch is not None
    return problem.kind == "out-of-memory" or (halved and problem.kind == "killed")


def _work(
    job: Job, left: dict[str, RunSpec], store: Store, log: Path, listen: Listen
) -> Problem | None:
    """Lets a worker do a job; takes what is settled from `left`, and says why it ended early."""
    problem: Problem | None = None
    kills = machine.oom_kills()
    worker = _start(log, job.tpu_name if job.device == "tpu" else "")
    try:
        for message in _converse(worker, job):
            if message.step is not None:
                listen(Event(job.specs, "working", message.step))
            elif message.key is None:
                problem = message.problem
            elif message.problem is not None:
                _fail(store, (left.pop(message.key),), message.problem, log, listen)
            else:
                listen(Event((left.pop(message.key),), "saved"))
        return problem or _death(worker.wait(), log, machine.oom_kills() > kills)
    finally:
        _stop(worker, STOP_SECONDS[job.specs[0].recipe.trains])


def _weights_file(request: Request, spec: RunSpec, report: Report) -> weights.File | None:
    if spec.weights.random:
        return None
    variant = VARIANTS[spec.variant]
    return weights.find(request.source, spec.weights, variant, request.weights_dir, report)


def _start(log: Path, tpu: str) -> subprocess.Popen[bytes]:
    """A worker in a session of its own: Ctrl-C is for the sweep, which then stops its worker."""
    with log.open("ab") as errors:
        return subprocess.Popen(
            # -P: nothing in the working directory may pass for a library.
            (sys.executable, "-P", "-m", "effbench.sweep.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env=tpus.for_child(tpu),
        )


def _converse(worker: subprocess.Popen[bytes], job: Job) -> Iterator[Message]:
    """Hands a job over and yields what the worker says; its input stays open while we live."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it died at once; its exit says why
        worker.stdin.write(JOB.dump_json(job) + b"\n")
        worker.stdin.flush()
    for line in worker.stdout:
        yield MESSAGE.validate_json(line)


def _stop(worker: subprocess.Popen[bytes], patience: float) -> None:
    """Makes sure that a worker is gone, and soon."""
    worker.terminate()
    try:
        worker.wait(patience)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _death(code: int, log: Path, oom: bool) -> Problem | None:
    """Why a worker ended without a word; None if it said all it had to.

    Args:
        code: that it ended with.
        log: its output.
        oom: whether the system has ended a process meanwhile, because it was out of memory.
    """
    if code == 0:
        return None
    if code == -signal.SIGKILL and oom:
        return Problem("out-of-memory", "the system was out of memory and ended the worker")
    why = subprocesses.ended(code, log.read_text("utf-8", "replace"))
    return Problem("killed" if code < 0 else "crash", f"the worker process failed: {why}")


def _fail(
    store: Store, specs: tuple[RunSpec, ...], problem: Problem, log: Path, listen: Listen
) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    output = log.read_bytes()
    for spec in specs:
        path = store.folder(spec.key) / LOG
        if output:
            write_atomically(path, output)
        standard = resolved(spec.recipe.name, spec.variant)
        named = LOG if output else ""
        store.save(RunFailure(SCHEMA, spec, problem.kind, problem.message, named, now, standard))
        unexpected = problem.kind in UNEXPECTED
        where = f"; its output: {path}" if output and unexpected else ""
        kept = unexpected and any(store.checkpoints(spec.key).glob("step-*"))
        again = "; --retry-failed goes on from its checkpoint" if kept else ""
        listen(Event((spec,), "failed", text=f"{problem.message}{where}{again}"))
