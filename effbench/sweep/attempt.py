"""One try of a group of runs: a worker does them, and a run without a result becomes a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from effbench.config.recipes import resolved
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.errors import RelayedError, WeightsError
from effbench.failures import FailureKind, handling
from effbench.files import write_atomically, writing
from effbench.leases import Claim
from effbench.models import weights
from effbench.progress import Report, Step
from effbench.records.record import SCHEMA, RunFailure
from effbench.records.store import LOG, Store
from effbench.sweep import worker_process
from effbench.sweep.events import Event, Listen
from effbench.sweep.needs import memory_needed
from effbench.sweep.resolve import Request
from effbench.sweep.worker_process import Work
from effbench.training.job import Job, Message, Problem


@dataclass(frozen=True)
class Attempt:
    """What a try needs beside the runs.

    Attributes:
        request: the sweep that asks for them.
        store: where records go.
        claim: the lease of the group, which another machine takes over if this one is silent.
        lost: whether that was noticed; cheap to ask.
        listen: told of everything.
        work: lets a worker do a job; None for a process of this machine.
    """

    request: Request
    store: Store
    claim: Claim
    lost: Callable[[], bool]
    listen: Listen
    work: Work | None = None

    def run(self, specs: tuple[RunSpec, ...]) -> None:
        """Runs some seeds of a group.

        Raises:
            RelayedError: every further run would fail in the same way.
        """
        self.listen(Event(specs, "started"))
        log = self._log(specs)
        with writing(log.parent):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_bytes(b"")

        def working(step: Step) -> None:
            self.listen(Event(specs, "working", step))

        try:
            file = self._weights_file(specs[0], working)
        except WeightsError as error:
            self._fail(specs, Problem(error.kind, str(error)), log)
            return
        request = self.request
        job = Job(
            specs=specs,
            results=self.store.directory,
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
            claim=self.claim,
        )
        retry = request.options.execution.oom_retry
        smaller = self.store.retried_micro_batch(specs[0].key) if retry else None
        if smaller is not None:
            text = f"in micro-batches of {smaller}, as its checkpoint: out of memory before"
            self.listen(Event(specs, "started", text=text))
            job = replace(job, micro_batch=smaller)
        elif retry and job.device == "cpu" and self.work is None:
            most = memory_needed.most_at_once(specs[0])
            if 0 < most < job.images_at_once:
                text = f"in micro-batches of {most}: more cannot fit into this machine's memory"
                self.listen(Event(specs, "started", text=text))
                job = replace(job, micro_batch=most)
        halved = False
        left = {spec.key: spec for spec in specs}
        problem = self._work(job, left, log)
        while left and problem is not None and retry and _lacked_memory(problem, halved):
            half, odd = divmod(job.images_at_once, 2)
            if odd or not job.specs[0].recipe.way.micro_batches:
                break
            text = f"again from the beginning, in micro-batches of {half}: out of memory"
            self.listen(Event(specs, "started", text=text))
            job, halved = replace(job, micro_batch=half, sent=time.time()), True
            problem = self._work(job, left, log)
        if problem is not None and handling(problem.kind).fatal:
            raise RelayedError(problem.message)
        if left and problem is not None:
            self._fail(tuple(left.values()), problem, log)
        log.unlink(missing_ok=True)

    def give_up(self, specs: tuple[RunSpec, ...], problem: Problem) -> None:
        """Records runs as failures without a try; what their last worker printed is kept."""
        log = self._log(specs)
        self._fail(specs, problem, log)
        log.unlink(missing_ok=True)

    def _log(self, specs: tuple[RunSpec, ...]) -> Path:
        return self.store.directory / ".logs" / f"{specs[0].worker}.log"

    def _work(self, job: Job, left: dict[str, RunSpec], log: Path) -> Problem | None:
        """Lets a worker do a job, removes settled runs from `left`; why it ended early."""

        def settle(message: Message) -> None:
            if message.step is not None:
                self.listen(Event(job.specs, "working", message.step))
            elif message.key is not None and message.problem is not None:
                self._fail((left.pop(message.key),), message.problem, log)
            elif message.key is not None:
                self.listen(Event((left.pop(message.key),), "saved"))

        def waiting(text: str) -> None:
            text = f"{text}; a second Ctrl-C ends it at once"
            self.listen(Event(job.specs, "stopping", text=text))

        work = self.work or worker_process.work
        return work(job, left, log, settle, waiting, self.lost)

    def _weights_file(self, spec: RunSpec, report: Report) -> weights.File | None:
        if spec.weights.random:
            return None
        variant = VARIANTS[spec.variant]
        folder = self.request.options.networks.weights_dir
        return weights.find(self.request.source, spec.weights, variant, folder, report)

    def _fail(self, specs: tuple[RunSpec, ...], problem: Problem, log: Path) -> None:
        if not self.claim.holds():  # it is for whoever has taken the group over to say
            return
        store = self.store
        now = datetime.now(UTC).isoformat(timespec="seconds")
        output = log.read_bytes() if log.exists() else b""
        for spec in specs:
            path = store.folder(spec.key) / LOG
            if output:
                write_atomically(path, output)
            standard = resolved(spec.recipe.name, spec.variant)
            named = LOG if output else ""
            store.save(
                RunFailure(SCHEMA, spec, problem.kind, problem.message, named, now, standard)
            )
            unexpected = handling(problem.kind).unexpected
            where = f"; its output: {path}" if output and unexpected else ""
            kept = unexpected and any(store.checkpoints(spec.key).rglob("step-*"))
            again = "; --retry-failed goes on from its checkpoint" if kept else ""
            self.listen(Event((spec,), "failed", text=f"{problem.message}{where}{again}"))


def _lacked_memory(problem: Problem, halved: bool) -> bool:
    """Whether a worker lacked memory.

    If it did before, TensorFlow may also crash: then half the batch was too much as well.
    """
    return problem.kind == FailureKind.OUT_OF_MEMORY or (
        halved and problem.kind == FailureKind.KILLED
    )
