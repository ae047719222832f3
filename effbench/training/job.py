"""What a sweep and its worker processes say to each other: one line of JSON each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from effbench.config.run_spec import RunSpec
from effbench.config.sweep_options import ExecutionOptions
from effbench.failures import FailureKind
from effbench.hardware.tpu import LOCAL
from effbench.leases import Claim
from effbench.progress import Step


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Attributes:
        specs: runs that differ by their seed only.
        results: the results directory.
        data_dir: where the dataset's files are, or None.
        weights_file: of the backbone, or None for random weights.
        weights_sha256: of that file; "" for random weights.
        device: "cpu", "gpu" or "tpu".
        sent: `time.time()` when the process was started.
        replicas: parts that the CPU is divided into, or None for one program on all of it.
        tpu_name: name of the TPU.
        engine: as in `DeviceOptions`.
        skip_unreadable: leave out photos that cannot be read.
        micro_batch: replaces that of the runs where memory is short; None keeps theirs.
        execution: checkpoints and logs, of a network that trains as a whole; the room for pixels.
        claim: the lease of these runs: whoever has lost it writes no record. None for none.
    """

    specs: tuple[RunSpec, ...]
    results: Path
    data_dir: Path | None
    weights_file: Path | None
    weights_sha256: str
    device: str
    sent: float
    replicas: int | None = None
    tpu_name: str = LOCAL
    engine: str = "auto"
    skip_unreadable: bool = False
    micro_batch: int | None = None
    execution: ExecutionOptions = field(default_factory=ExecutionOptions)
    claim: Claim | None = None

    @property
    def images_at_once(self) -> int:
        """Images of a global batch that go through the network together."""
        spec = self.specs[0]
        return self.micro_batch or spec.micro_batch or spec.recipe.batch_size


@dataclass(frozen=True)
class Problem:
    """Why a run, or a whole worker, failed: the kind of the error and one line."""

    kind: FailureKind
    message: str


@dataclass(frozen=True)
class Message:
    """What a worker says.

    Attributes:
        step: its progress.
        key: the run that `saved` or `problem` is about; without it the problem ends the worker.
        saved: its result is on disk.
        problem: what went wrong.
    """

    step: Step | None = None
    key: str | None = None
    saved: bool = False
    problem: Problem | None = None


JOB = TypeAdapter(Job)
MESSAGE = TypeAdapter(Message)
