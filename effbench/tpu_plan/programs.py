"""The programs that a run executes on each replica: what a plan compiles, and a TPU runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from effbench.config.run_spec import RunSpec
from effbench.data.outline import Outline
from effbench.hardware.devices import Device
from effbench.hardware.distribution import Layout
from effbench.hardware.tensorflow_setup import tf
from effbench.training import methods
from effbench.training.replica_program import Program


@dataclass(frozen=True)
class OneOf(Layout):
    """One replica of several, as in `Replicated`, but by itself: nothing is added up.

    Attributes:
        copies: how many replicas there are.
        number: the number of this one; a variable, because the compiler itself would compute what
            depends on a constant.
    """

    placement: str = "/CPU:0"
    copies: int = field(kw_only=True)
    number: tf.Variable = field(kw_only=True)

    @property
    def replicas(self) -> int:
        """Copies that share a global batch."""
        return self.copies

    def hold(self, values: np.ndarray) -> tf.Variable:
        """An array that programs look up: it is an argument of theirs, not a constant in them."""
        return tf.Variable(values, trainable=False)

    def part(self, rows: tf.Tensor) -> tf.Tensor:
        """Inside a program: this replica's rows of [n, ...]; n divides by the replicas."""
        return tf.reshape(rows, (self.replicas, -1, *rows.shape[1:]))[self.number]


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
    layout = OneOf(copies=replicas, number=tf.Variable(0))
    device = Device("tpu", "", 1, layout)
    with layout.scope():
        return methods.of(spec.recipe).programs(spec, data, batch, device)
