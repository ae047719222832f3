"""The sweep: it skips finished runs and gives the others to workers, which save each at once."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from filelock import Timeout

from effbench.config.recipes import resolved
from effbench.config.run_spec import RunSpec
from effbench.config.sweep_options import ExecutionOptions
from effbench.config.variants import VARIANTS
from effbench.engines.table import AUTO
from effbench.errors import RelayedError, WeightsError
from effbench.failures import FailureKind, handling
from effbench.files import write_atomically, writing
from effbench.models import weights
from effbench.progress import Report, Step
from effbench.records import search_files
from effbench.records.record import SCHEMA, RunFailure, RunResult
from effbench.records.store import LOG, Store
from effbench.sweep import worker_process
from effbench.sweep.events import Event, Listen
from effbench.sweep.resolve import Request
from effbench.training.job import Job, Message, Problem


@dataclass(frozen=True)
class SweepCounts:
    """How many runs of a sweep were saved, failed, were finished before, or had failed before."""

    saved: int
    failed: int
    finished: int
    failed_before: int


def states(request: Request, store: Store) -> dict[str, str]:
    """What the sweep would do with each run, by key: "run", "finished" or "failed before"."""
    return {spec.key: _state(request.options.execution, store, spec) for spec in request.specs}


def run(request: Request, store: Store, listen: Listen) -> SweepCounts:
    """Does the runs of `request` that are not done yet; each is on disk as soon as it is finished.

    Groups that another sweep is working on are left for the end, and then only waited for.

    Raises:
        EffbenchError: nothing more can be done, e.g. there is no such device or the disk is full.
    """
    return (_lead if request.target.chief else _follow)(request, store, listen)


def _follow(request: Request, store: Store, listen: Listen) -> SweepCounts:
    """Takes part in what the chief of several hosts does; what is written here is thrown away."""
    execution = request.options.execution
    todo = tuple(spec for spec in request.specs if _state(execution, store, spec) == "run")

    def heard(event: Event) -> None:
        listen(replace(event, text="by the chief") if event.state == "saved" else event)

    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        return _lead(replace(request, specs=todo), Store(Path(folder)), heard)


def _lead(request: Request, store: Store, listen: Listen) -> SweepCounts:
    store.prepare()
    search_files.keep(store, request.searches)
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
    return SweepCounts(*counts.values())


def _state(execution: ExecutionOptions, store: Store, spec: RunSpec) -> str:
    if store.finished(spec.key) and not execution.force:
        return "finished"
    failure = store.failure(spec.key)
    if failure is None or execution.retry_failed or execution.force:
        return "run"
    if handling(failure.kind).retried:
        return "run"
    if store.resumed(spec.key):  # a retry that was interrupted
        return "run"
    return "failed before"


def _locked(
    request: Request, store: Store, group: tuple[RunSpec, ...], listen: Listen, *, wait: bool
) -> bool:
    """Runs a group while no other sweep does; False if one does and we are not to wait."""
    execution = request.options.execution
    if wait:  # what the other sweep did meanwhile is done, even for --force
        execution = replace(execution, force=False)
    try:
        with store.lock(group[0].worker).acquire(timeout=-1 if wait else 0):
            todo = []
            for spec in group:
                state = _state(execution, store, spec)
                if state == "run":
                    todo.append(spec)
                    continue
                listen(Event((spec,), state, text=_about(request, store, spec)))
            if todo:
                _attempt(request, store, tuple(todo), listen)
    except Timeout:
        return False
    return True


def _about(request: Request, store: Store, spec: RunSpec) -> str:
    """What there is to know of a run that is left as it is."""
    failure = store.failure(spec.key)
    if failure:
        return failure.message
    record, asked = store.read(spec.key), request.options.device.engine
    assert isinstance(record, RunResult)
    engine = record.provenance.engine or "tensorflow"
    doubt = store.doubt(spec.key)
    if doubt or asked in (AUTO, engine):
        return doubt
    return f"by {engine}, which counts as the same run; --force repeats it by {asked}"


def _attempt(request: Request, store: Store, specs: tuple[RunSpec, ...], listen: Listen) -> None:
    """Runs some seeds of a group; a run without a result is kept as a failure."""
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
        device=request.target.device,
        sent=time.time(),
        replicas=request.options.device.replicas,
        tpu_name=request.target.tpu_name,
        engine=request.target.engine,
        skip_unreadable=request.options.images.skip_unreadable,
        execution=request.options.execution,
    )
    retry = request.options.execution.oom_retry
    smaller = store.retried_micro_batch(specs[0].key) if retry else None
    if smaller is not None:
        text = f"in micro-batches of {smaller}, as its checkpoint: out of memory before"
        listen(Event(specs, "started", text=text))
        job = replace(job, micro_batch=smaller)
    halved = False
    left = {spec.key: spec for spec in specs}
    problem = _work(job, left, store, log, listen)
    while left and problem is not None and retry and _lacked_memory(problem, halved):
        half, odd = divmod(job.images_at_once, 2)
        if odd or not job.specs[0].recipe.way.micro_batches:
            break
        text = f"again from the beginning, in micro-batches of {half}: out of memory"
        listen(Event(specs, "started", text=text))
        job, halved = replace(job, micro_batch=half, sent=time.time()), True
        problem = _work(job, left, store, log, listen)
    if problem is not None and handling(problem.kind).fatal:
        raise RelayedError(problem.message)
    if left and problem is not None:
        _fail(store, tuple(left.values()), problem, log, listen)
    log.unlink(missing_ok=True)


def _lacked_memory(problem: Problem, halved: bool) -> bool:
    """Whether a worker lacked memory.

    If it did before, TensorFlow may also crash: then half the batch was too much as well.
    """
    return problem.kind == FailureKind.OUT_OF_MEMORY or (
        halved and problem.kind == FailureKind.KILLED
    )


def _work(
    job: Job, left: dict[str, RunSpec], store: Store, log: Path, listen: Listen
) -> Problem | None:
    """Lets a worker do a job, removes settled runs from `left`, and says why it ended early."""

    def settle(message: Message) -> None:
        if message.step is not None:
            listen(Event(job.specs, "working", message.step))
        elif message.key is not None and message.problem is not None:
            _fail(store, (left.pop(message.key),), message.problem, log, listen)
        elif message.key is not None:
            listen(Event((left.pop(message.key),), "saved"))

    def waiting(text: str) -> None:
        listen(Event(job.specs, "stopping", text=f"{text}; a second Ctrl-C ends it at once"))

    return worker_process.work(job, left, log, settle, waiting)


def _weights_file(request: Request, spec: RunSpec, report: Report) -> weights.File | None:
    if spec.weights.random:
        return None
    variant = VARIANTS[spec.variant]
    folder = request.options.networks.weights_dir
    return weights.find(request.source, spec.weights, variant, folder, report)


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
        unexpected = handling(problem.kind).unexpected
        where = f"; its output: {path}" if output and unexpected else ""
        kept = unexpected and any(store.checkpoints(spec.key).rglob("step-*"))
        again = "; --retry-failed goes on from its checkpoint" if kept else ""
        listen(Event((spec,), "failed", text=f"{problem.message}{where}{again}"))
