"""What comes out of the training of one run, before it is a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from effbench.config.run_spec import RunSpec
from effbench.data.splits import Dataset
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.errors import NonFiniteError
from effbench.hardware.devices import Device
from effbench.progress import Report
from effbench.records.l2_search import L2Search, L2Value
from effbench.records.record import Turn
from effbench.records.scores import Epoch, Selected
from effbench.training import evaluate
from effbench.training.job import Job
from effbench.training.phases import Phases

# Logits of the splits that are evaluated, validation first, float32 [images, classes] each.
Logits = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Finished:
    """A run whose numbers are all there.

    Attributes:
        selected: scores of the epochs that rules choose; the recipe's is among them.
        history: an entry an epoch.
        logits: by the prefix of `selected`, the logits of every epoch that a rule chooses, or of
            the chosen L2.
        weights: the weights of the epoch, or of the L2, that the recipe's rule chooses, to export:
            the head's, and before them the network's where all of it was trained.
        l2_search: as in `record.RunResult`.
        turns: likewise.
        other_turns: likewise.
        l2_curve: likewise.
    """

    selected: tuple[Selected, ...]
    history: tuple[Epoch, ...]
    logits: Mapping[str, Logits]
    weights: list[np.ndarray]
    l2_search: L2Search | None = None
    turns: tuple[Turn, ...] = ()
    other_turns: Mapping[str, tuple[Turn, ...]] = field(default_factory=dict)
    l2_curve: tuple[L2Value, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a worker's training comes to.

    Attributes:
        runs: each run with its results, or with the error that ended it.
        verified: how the backbone's weights were checked.
        features_computed: images whose features were computed once.
        features_cached: images whose features were in the cache.
        micro_batch: as in `record.Provenance`.
        resumed: as in `record.Provenance`.
        engine: what ran the network.
        engine_difference: as in `record.Provenance`.
        engine_refused: as in `record.Provenance`.
        device: what ran the network, where it need not be the run's device; else None.
    """

    runs: Sequence[tuple[RunSpec, Finished | NonFiniteError]]
    verified: str
    features_computed: int = 0
    features_cached: int = 0
    micro_batch: int = 0
    resumed: int = 0
    engine: Engine = TENSORFLOW
    engine_difference: float | None = None
    engine_refused: str = ""
    device: Device | None = None


@dataclass(frozen=True)
class Setting:
    """Where a training takes place.

    Attributes:
        job: the job to be done.
        dataset: its images, limited.
        device: the device, connected.
        engine: what runs programs on it.
        choosing: whether a reader left the engine to us, so that another may take its place.
        refused: whose place it took, and why, as in `engine_table.Started`.
        phases: what the time goes into, since the process was started.
        report: told of every step.
        stopped: whether the process is to end.
    """

    job: Job
    dataset: Dataset
    device: Device
    phases: Phases
    report: Report
    stopped: Callable[[], bool]
    engine: Engine = TENSORFLOW
    choosing: bool = False
    refused: str = ""


def selected(rule: str, epoch: int, logits: Logits, dataset: Dataset) -> Selected:
    """The scores of an epoch's logits.

    Raises:
        NonFiniteError: they are not finite.
    """
    scores = {
        name: evaluate.score(values, split.labels)
        for values, (name, split) in zip(logits, dataset.held_out.items(), strict=True)
    }
    return Selected(rule, epoch, scores["validation"], scores.get("test"))
