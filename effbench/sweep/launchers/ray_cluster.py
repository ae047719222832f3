"""Runs on a Ray cluster: a task each, tried again by Ray on another node if its own dies.

The driver, which is this process, holds the leases, and writes what comes back through the store as
if it had been done here. A driver that dies is started again, and goes on with what is not done.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from effbench.config.sweep_options import LaunchOptions
from effbench.errors import DeviceError, EffbenchError, Interrupted, RelayedError, UsageError
from effbench.failures import FailureKind
from effbench.files import write_atomically
from effbench.progress import Step
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.sweep import queues, scheduler
from effbench.sweep.events import Event
from effbench.sweep.launchers import ray_task
from effbench.sweep.launchers.launcher import Launch
from effbench.sweep.launchers.ray_task import Order, RunOutcome
from effbench.sweep.scheduler import Counting, SweepCounts, Taking
from effbench.training.job import JOB, Job, Message, Problem

# How often Ray tries a task again whose node or process died.
_RETRIES = 5
# Data that no node sees may be sent to it up to this size.
_MOST_DATA = 4 * 10**9
_CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_BOARD_SECONDS = 10.0


def check(options: LaunchOptions) -> None:
    """Makes sure that Ray is installed, and that somebody answers at the address.

    Raises:
        UsageError: it is not installed, or the address is none.
        DeviceError: nobody answers.
    """
    if find_spec("ray") is None:
        raise UsageError(
            "--launcher ray needs Ray", "it is not installed", "pip install 'effbench[ray]'"
        )
    address = options.ray_address
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        raise UsageError("--ray-address is host:port", address, "as 'ray start --head' prints it")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise DeviceError(
            f"nobody answers at {address}",
            error.strerror or str(error),
            "start a cluster with 'ray start --head', or leave --ray-address out for this machine",
        ) from error


def start(launch: Launch) -> SweepCounts:
    """Does the runs.

    Raises:
        EffbenchError: a node has other versions; or as `scheduler.take`.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    store = Store(launch.store.directory.resolve())
    queue = queues.write(store, launch.request)
    heard = _Serial(Counting(launch.listen))
    if not ray.is_initialized():
        try:
            ray.init(
                address=launch.options.ray_address,
                log_to_driver=False,
                logging_level="ERROR",
                **({} if launch.options.ray_address else {"include_dashboard": False}),
            )
        except Exception as error:  # of many kinds, e.g. of another Python on the cluster
            said = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            hint = "see 'ray status' there; if it asks for a token: RAY_AUTH_MODE=token here, too"
            raise EffbenchError("Ray does not start", said[0], hint) from error
    try:
        _drive(launch, store, _Cluster(launch, store), Taking(only=queue.folder), heard)
    finally:
        ray.shutdown()
    return heard.counting.counts


@dataclass
class _Serial:
    """Passes on one event at a time, whichever thread has it."""

    counting: Counting
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> None:
        if event.state != "waiting":  # for another part of this very sweep
            with self.lock:
                self.counting(event)


def _drive(launch: Launch, store: Store, cluster: _Cluster, how: Taking, heard: _Serial) -> None:
    """As many threads as the cluster takes tasks at a time, each of which takes what is open."""
    errors: list[BaseException] = []

    def take() -> None:
        try:
            # A store of its own: a thread's leases are its own.
            scheduler.take(Store(store.directory), heard, replace(how, work=cluster.work))
        except BaseException as error:  # told in the main thread
            errors.append(error)
            cluster.stop.set()

    threads = [threading.Thread(target=take, daemon=True) for _ in range(cluster.slots)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(_LOOK_SECONDS)
    except Interrupted:
        cluster.stop.set()
        for thread in threads:
            thread.join()
        raise
    real = [error for error in errors if not isinstance(error, Interrupted)]
    if real:
        raise real[0]


class _Cluster:
    """The tasks of a cluster, and what they tell."""

    def __init__(self, launch: Launch, store: Store) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray = ray
        self.stop = threading.Event()
        self._store = store
        self._token = store.directory / ".ray" / f"token-{uuid.uuid4().hex}"
        write_atomically(self._token, b"")
        self._versions = ray_task.versions()
        self._sent: dict[Path, Any] = {}
        self._sending = threading.Lock()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        board = ray.remote(_Board).options(
            num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1
        )
        self._board = board.remote()
        device = launch.request.target.device
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if device == "gpu":
            self._options: dict[str, Any] = {"num_gpus": 1}
            self.slots = int(sum(node.get("GPU", 0) for node in nodes))
        else:  # a node's cores are for one run
            cores = min((node.get("CPU", 0) for node in nodes if node.get("CPU", 0)), default=1)
            self._options = {"num_cpus": cores}
            self.slots = int(sum(node.get("CPU", 0) // cores for node in nodes))
        if not self.slots:
            raise DeviceError(
                f"no node of the cluster has a {device.upper()}",
                f"{len(nodes)} nodes",
                "start one with it, e.g. 'ray start --address=...'",
            )

    def work(
        self,
        job: Job,
        left: Collection[str],
        log: Path,
        settle: Callable[[Message], None],
        waiting: Callable[[str], None],
        lost: Callable[[], bool],
    ) -> Problem | None:
        """As `worker_process.work`, on a node."""
        ray = self._ray
        name = job.specs[0].worker
        versions, token = self._versions, self._token
        order = Order(JOB.dump_json(job), socket.gethostname(), versions, token, None, None)
        task = ray.remote(ray_task.remote).options(max_retries=_RETRIES, **self._options)
        reference = task.remote(
            order, self._reference(job.weights_file), self._data(job.data_dir), self._board, name
        )
        last: Step | None = None
        while not ray.wait([reference], timeout=_LOOK_SECONDS)[0]:
            if self.stop.is_set():
                ray.cancel(reference)
                ray.wait([reference], timeout=30)
                raise Interrupted
            if lost():
                ray.cancel(reference, force=True)
                return Problem(FailureKind.INTERRUPTED, "another worker has taken it over")
            told = self._told(name)
            if told is not None and told != last:
                last = told
                settle(Message(told))
        try:
            outcome = ray.get(reference)
        except ray.exceptions.RayError as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            return Problem(FailureKind.KILLED, f"Ray gave it up: {said[0]}")
        return self._bring(outcome, job, log, settle)

    def _told(self, name: str) -> Step | None:
        """The last step of a group; None where there is none, or the board's own node has died."""
        try:
            return self._ray.get(self._board.get.remote(name), timeout=_BOARD_SECONDS)
        except self._ray.exceptions.RayError:
            return None

    def _bring(
        self, outcome: RunOutcome, job: Job, log: Path, settle: Callable[[Message], None]
    ) -> Problem | None:
        """Writes what a node sends through the store."""
        if outcome.refused:
            raise RelayedError(outcome.refused)
        log.write_bytes(outcome.log)
        with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
            for name, content in outcome.files.items():
                write_atomically(Path(folder) / name, content)
            there = Store(Path(folder))
            for message in outcome.messages:
                if message.key is not None and message.saved:
                    if job.claim is not None and not job.claim.holds():
                        return Problem(FailureKind.INTERRUPTED, "another worker has it now")
                    record = there.read(message.key, checked=True)
                    assert isinstance(record, RunResult)
                    pairs = zip(there.beside(record), self._store.beside(record), strict=True)
                    for source, path in pairs:
                        if source.exists():
                            write_atomically(path, source.read_bytes())
                    self._store.save(record, first=not job.execution.force)
                settle(message)
        return outcome.problem

    def _reference(self, path: Path | None) -> list[Any]:
        """The content of a file in Ray's object store, put there once; in a list of one."""
        if path is None:
            return []
        with self._sending:
            if path not in self._sent:
                self._sent[path] = self._ray.put(path.read_bytes())
            return [self._sent[path]]

    def _data(self, path: Path | None) -> list[Any]:
        """Likewise a folder of data, as a tar; nothing where it is too large to be sent."""
        if path is None:
            return []
        with self._sending:
            if path not in self._sent:
                files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
                if sum(file.stat().st_size for file in files) > _MOST_DATA:
                    return []
                self._sent[path] = self._ray.put(ray_task.packed(path))
            return [self._sent[path]]


class _Board:
    """An actor that keeps the last step of each group."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}

    def put(self, name: str, where: str, step: Step) -> None:
        """Notes a step, and where it is done."""
        note = ", ".join(filter(None, [step.note, f"on {where}"]))
        self._steps[name] = replace(step, note=note)

    def get(self, name: str) -> Step | None:
        """The last one."""
        return self._steps.get(name)
