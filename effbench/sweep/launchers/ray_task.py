"""What a task of a Ray cluster does on its node: a job in a folder of its own, files in return.

Whatever kills the process of the task ends its worker too, which reads from a pipe of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from effbench import cache, provenance
from effbench.errors import EffbenchError
from effbench.files import write_atomically
from effbench.progress import Step
from effbench.records.store import Store
from effbench.sweep import worker_process
from effbench.training.job import JOB, Message, Problem

# The time between two reports of one phase.
_REPORT_SECONDS = 1.0


@dataclass(frozen=True)
class Order:
    """A job for a node.

    Attributes:
        job: as JSON.
        host: the machine that gives it.
        versions: of that machine; a node must have the same.
        token: a file that the machine has put into its results folder: a node that sees it keeps
            checkpoints there, so that another one can go on with them.
        weights: gives the bytes of the file of weights, for a node that does not see it.
        data: likewise a tar of the folder of data.
    """

    job: bytes
    host: str
    versions: dict[str, str]
    token: Path
    weights: Callable[[], bytes] | None
    data: Callable[[], bytes] | None


@dataclass(frozen=True)
class RunOutcome:
    """What came of it.

    Attributes:
        problem: why the worker ended early, or None.
        messages: what it said of its runs, their end.
        files: all that it wrote for them, by path in the results folder.
        log: what the worker printed.
        refused: why the node cannot take part, "" if it can.
    """

    problem: Problem | None = None
    messages: tuple[Message, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    log: bytes = b""
    refused: str = ""


def do(order: Order, report: Callable[[Step], None]) -> RunOutcome:
    """Does a job."""
    difference = _difference(order)
    if difference:
        return RunOutcome(refused=difference)
    job = JOB.validate_json(order.job)
    shared = order.token.exists()
    with tempfile.TemporaryDirectory(prefix="effbench-ray-") as folder:
        results = Path(folder)
        if shared:
            checkpoints = job.results / ".checkpoints"
            checkpoints.mkdir(parents=True, exist_ok=True)
            (results / ".checkpoints").symlink_to(checkpoints)
        try:
            job = replace(
                job,
                results=results,
                claim=None,
                weights_file=_weights(job.weights_file, job.weights_sha256, order),
                data_dir=_data(job.data_dir, order),
                sent=time.time(),
            )
        except EffbenchError as error:
            return RunOutcome(problem=Problem(error.kind, str(error)))
        left = {spec.key: spec for spec in job.specs}
        messages: list[Message] = []
        last = Step("")
        due = 0.0

        def settle(message: Message) -> None:
            nonlocal last, due
            step = message.step
            if step is None:
                messages.append(message)
                if message.key is not None:
                    left.pop(message.key)
            elif step.phase != last.phase or step.lasting or time.monotonic() > due:
                last, due = step, time.monotonic() + _REPORT_SECONDS
                report(step)

        log = results / "worker.log"
        log.touch()
        problem = worker_process.work(job, left, log, settle, lambda _: None)
        return RunOutcome(problem, tuple(messages), _files(Store(results)), log.read_bytes())


def versions() -> dict[str, str]:
    """What has to be equal on all nodes."""
    return provenance.versions() | {"commit": provenance.commit()}


def packed(path: Path) -> bytes:
    """A folder, or a file, as a tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(path, arcname=path.name)
    return content.getvalue()


def _difference(order: Order) -> str:
    here = versions()
    for name in sorted(order.versions | here):
        given, mine = order.versions.get(name, "none"), here.get(name, "none")
        if given != mine:
            rule = f"all nodes need the same {name}"
            received = (
                f"{order.host} has {given or 'none'}, {socket.gethostname()} {mine or 'none'}"
            )
            return str(EffbenchError(rule, received, "install the same set on both"))
    return ""


def _weights(path: Path | None, sha256: str, order: Order) -> Path | None:
    """The file of weights on this node; the worker compares it with its hash once more."""
    if path is None or _is(path, sha256):
        return path
    here = cache.downloads() / "nodes" / f"{sha256[:12]}-{path.name}"
    if not _is(here, sha256) and order.weights is not None:
        write_atomically(here, order.weights())
    if not _is(here, sha256):
        raise EffbenchError(
            "the file of weights is another on this node",
            f"{path} on {socket.gethostname()}",
            "share one folder, or leave it out there",
        )
    return here


def _is(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _data(path: Path | None, order: Order) -> Path | None:
    """The data on this node; the worker compares them with their hash."""
    if path is None or path.exists() or order.data is None:
        return path
    content = order.data()
    home = cache.downloads() / "nodes" / hashlib.sha256(content).hexdigest()[:12]
    if not (home / path.name).exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(folder, filter="data")
            with contextlib.suppress(OSError):  # another task was first
                Path(folder).rename(home)
    return home / path.name


def _files(store: Store) -> dict[str, bytes]:
    """All that a worker wrote, without checkpoints."""
    roots = (store.directory / name for name in ("runs", "models", "tensorboard"))
    return {
        str(path.relative_to(store.directory)): path.read_bytes()
        for root in roots
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def remote(order: Order, weights: list[Any], data: list[Any], board: Any, name: str) -> RunOutcome:
    """The task itself: references within lists are fetched only where a node asks for them."""
    import ray

    def getter(references: list[Any]) -> Callable[[], bytes] | None:
        return (lambda: ray.get(references[0])) if references else None

    order = replace(order, weights=getter(weights), data=getter(data))
    where = f"{socket.gethostname()} {ray.get_runtime_context().get_node_id()[:6]}"

    def report(step: Step) -> None:
        board.put.remote(name, where, step)

    return do(order, report)
