"""The programs that a run executes on each replica: what a plan compiles, and a TPU runs."""

from __future__ import annotations

from effbench.config.run_spec import RunSpec
from effbench.data.outline import Outline
from effbench.hardware.devices import Device
from effbench.hardware.distribution import OneProgram
from effbench.training import methods
from effbench.training.replica_program import Program


def programs(spec: RunSpec, data: Outline, batch: int | None, replicas: int) -> list[Program]:
    """The programs of one run; the first is the one in which the network runs.

    Weights are random and images black: the values do not change a program.

    Args:
        spec: what the run is; the batch of its recipe is that of all replicas.
        data: how many images of what kind it is on.
        batch: images that a replica takes at once where the network runs, or None for what the run
            takes.
        replicas: how many replicas share the work.
    """
    layout = OneProgram(copies=replicas)
    device = Device("tpu", "", 1, layout)
    with layout.scope():
        return methods.of(spec.recipe).programs(spec, data, batch, device)
