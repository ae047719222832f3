"""How a program is laid out over replicas: one by itself, or copies that share a global batch.

The programs (features, training step, logits) are the same function objects either way, on every
kind of device. They take their rows of a global batch with `part`, add up with `total`, and read
large arrays from what `hold` gave them; without a strategy all of these do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from effbench.hardware.tensorflow_setup import keras, tf, xla

Program = Callable[..., tf.Tensor]


@dataclass(frozen=True)
class Layout:
    """One program on one device.

    Attributes:
        placement: the TensorFlow device that models are built on, "" for its default; the one that
            computes, too, if there is only one.
    """

    placement: str = ""

    @property
    def replicas(self) -> int:
        """Copies that share a global batch."""
        return 1

    def scope(self) -> AbstractContextManager[object]:
        """Where variables are made and programs are run; holds for one thread."""
        return tf.device(self.placement)

    def mirror(self, model: keras.Model) -> keras.Model:
        """A built model, on the devices that compute."""
        return model

    def hold(self, values: np.ndarray) -> tf.Tensor | tf.Variable:
        """An array that programs look up, in the memory of every device; call it in `scope`."""
        return tf.constant(values)

    def step(self, program: Program, *inputs: tf.Tensor) -> tf.Tensor:
        """Runs a program everywhere; its results must be the same everywhere, e.g. totals."""
        return program(*inputs)

    def map(self, program: Program, rows: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
        """Runs a program on each replica's part of `rows`, and joins the rows that come out.

        Args:
            program: called as `program(part, *inputs)`.
            rows: [n, ...]; n divides by the replicas.
            inputs: the same for every replica.
        """
        return program(rows, *inputs)

    def told(self, values: np.ndarray) -> np.ndarray:
        """Gathers the `values` that each replica's process has: int32 [n] to [replicas, n]."""
        return values[None]

    def part(self, rows: tf.Tensor) -> tf.Tensor:
        """Inside a program: this replica's rows of [n, ...]; n divides by the replicas."""
        return rows

    def total(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Inside a program: the sums over all replicas, of tensors of one dtype."""
        return values

    def fused(self, program: Program) -> Program:
        """A part of a program that updates variables: compiled, so that it reads each once."""
        return tf.function(program, jit_compile=True, autograph=False)


ALONE = Layout()


@dataclass(frozen=True)
class OneProgram(Layout):
    """Copies of one program that XLA runs on all devices of a kind, and in which they add up.

    TensorFlow only traces it, as the program of one replica. What it holds, and its variables,
    every device gets whole.
    """

    placement: str = "/CPU:0"
    copies: int = field(kw_only=True)

    @property
    def replicas(self) -> int:
        """Copies that share a global batch."""
        return self.copies

    def map(self, program: Program, rows: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
        """Runs a program on each replica's part of `rows`, and joins the rows that come out."""
        part = program(self.part(rows), *inputs)
        # Each adds its rows to the zeros of the others: TensorFlow has no op for XLA's gathering.
        mine = tf.range(self.copies) == self._number()
        spread = tf.where(tf.reshape(mine, (-1, *[1] * part.shape.rank)), part, 0)
        (whole,) = self.total([spread])
        return tf.reshape(whole, (-1, *part.shape[1:]))

    def told(self, values: np.ndarray) -> np.ndarray:
        """Gathers the `values` that each replica's process has: int32 [n] to [replicas, n]."""
        return np.tile(values, (self.copies, 1))

    def part(self, rows: tf.Tensor) -> tf.Tensor:
        """Inside a program: this replica's rows of [n, ...]; n divides by the replicas."""
        return tf.reshape(rows, (self.copies, -1, *rows.shape[1:]))[self._number()]

    def total(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Inside a program: the sums over all replicas, of tensors of one dtype."""
        everyone = np.arange(self.copies, dtype=np.int32)[None]
        return [
            xla.xla_all_reduce(
                input=value, group_assignment=everyone, reduce_op="Add", mode="CrossReplica"
            )
            for value in values
        ]

    @staticmethod
    def _number() -> tf.Tensor:
        return tf.cast(xla.xla_replica_id(), tf.int32)


@dataclass(frozen=True)
class Replicated(Layout):
    """Copies of a program, by TensorFlow's own strategies: TPU cores, GPUs, logical CPUs, hosts."""

    # Models are built, loaded, verified and calibrated on the host, then copied to the devices.
    placement: str = "/CPU:0"
    strategy: tf.distribute.Strategy = field(kw_only=True)

    @property
    def replicas(self) -> int:
        """Copies that share a global batch."""
        return int(self.strategy.num_replicas_in_sync)

    def scope(self) -> AbstractContextManager[object]:
        """Where variables are made and programs are run; holds for one thread."""
        return self.strategy.scope()

    def mirror(self, model: keras.Model) -> keras.Model:
        """A built model, on the devices that compute."""
        with self.scope():
            copy = keras.models.clone_model(model)
            copy.set_weights(model.get_weights())
        copy.trainable = model.trainable
        return copy

    def hold(self, values: np.ndarray) -> tf.Tensor | tf.Variable:
        """An array that programs look up, in the memory of every device; call it in `scope`."""
        # A constant would be sent to every device again in every step.
        return tf.Variable(values, trainable=False)

    def step(self, program: Program, *inputs: tf.Tensor) -> tf.Tensor:
        """Runs a program everywhere; its results must be the same everywhere, e.g. totals."""
        results = self.strategy.run(program, args=inputs)
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], results
        )

    def map(self, program: Program, rows: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
        """Runs a program on each replica's part of `rows`, and joins the rows that come out."""
        parts = tf.split(rows, self.replicas)
        distributed = self.strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )
        return self.strategy.gather(self.strategy.run(program, args=(distributed, *inputs)), axis=0)

    def told(self, values: np.ndarray) -> np.ndarray:
        """Gathers the `values` that each replica's process has: int32 [n] to [replicas, n]."""
        distributed = self.strategy.experimental_distribute_values_from_function(
            lambda _: tf.constant(values[None])
        )
        whole: np.ndarray = tf.function(self.strategy.gather)(distributed, axis=0).numpy()
        return whole

    def part(self, rows: tf.Tensor) -> tf.Tensor:
        """Inside a program: this replica's rows of [n, ...]; n divides by the replicas."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.reshape(rows, (self.replicas, -1, *rows.shape[1:]))[replica]

    def total(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Inside a program: the sums over all replicas, of tensors of one dtype."""
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.SUM, values))

    def fused(self, program: Program) -> Program:
        """A part of a program that updates variables: as it is, replicas do that together."""
        return program
