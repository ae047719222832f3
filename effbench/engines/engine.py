"""What runs functions of tensors: the interface, and TensorFlow itself, which is the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from effbench.hardware.tensorflow_setup import tf

# A function of tensors, which gives one or several.
Function = Callable[..., tf.Tensor]
# The same of arrays; it always gives a list.
Program = Callable[..., list[np.ndarray]]
# From arrays [n, ...], the inputs of n calls, to float32 [n] and float32 [n, 2].
Loop = Callable[..., tuple[np.ndarray, np.ndarray]]


class Engine(Protocol):
    """Compiles functions, and keeps the values of the variables that they use.

    These are somewhere else while programs run: `settle` brings them back to TensorFlow, and
    `refresh` says that TensorFlow has assigned others.

    Attributes:
        name: a key of `table.ENGINES`.
        version: of what compiles and runs.
        device: what it calls the device that it drives; "" where TensorFlow drives it.
        count: how many of them it drives together.
        float32_graph: whether networks are built in float32 for it, whatever it computes in.
        runs_steps: whether it runs functions that change variables.
        all_cores: whether one kernel takes all cores of a CPU; else those of several parts of a
            batch run beside each other.
    """

    name: str
    version: str
    device: str
    count: int
    float32_graph: bool
    runs_steps: bool
    all_cores: bool

    def compile(self, function: Function) -> Program:
        """What calls a function that is traced once for each combination of shapes."""

    def loop(self, step: Function) -> Loop:
        """What calls a step again and again, until its first result is not finite.

        Args:
            step: gives a float32 number and float32 [2].

        Returns:
            A function that gives both results of each call, and 0 for calls that were not made.
        """

    def settle(self) -> None:
        """Assigns to variables the values that programs gave them."""

    def refresh(self, variables: Iterable[tf.Variable]) -> None:
        """Makes programs see what was assigned to variables."""


@dataclass(frozen=True)
class TracedProgram:
    """A `Program` of TensorFlow's; `traced` is the function that it calls."""

    traced: tf.types.experimental.GenericFunction

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The results of one call."""
        results = self.traced(*map(tf.constant, arrays))
        return [tensor.numpy() for tensor in tf.nest.flatten(results)]


class TensorflowEngine:
    """Functions as TensorFlow runs them, on the device that it was told to use."""

    name = "tensorflow"
    version = f"TensorFlow {tf.__version__}"
    device = ""
    count = 1
    float32_graph = False
    runs_steps = True
    all_cores = False

    def compile(self, function: Function) -> Program:
        """As `Engine` says."""
        return TracedProgram(tf.function(function, autograph=False))

    def loop(self, step: Function) -> Loop:
        """As `Engine` says; Python takes no part in the loop, and its length is no new program."""

        def steps(*stacked: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            count = tf.shape(stacked[0])[0]

            def goes_on(finite: tf.Tensor, position: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
                return finite & (position < count)

            def one(
                _: tf.Tensor, position: tf.Tensor, first: tf.Tensor, second: tf.Tensor
            ) -> tuple[tf.Tensor, ...]:
                number, pair = step(*(inputs[position] for inputs in stacked))
                first = tf.tensor_scatter_nd_update(first, [[position]], [number])
                second = tf.tensor_scatter_nd_update(second, [[position]], [pair])
                return tf.math.is_finite(number), position + 1, first, second

            start = (tf.constant(True), 0, tf.zeros(count), tf.zeros((count, 2)))
            *_, first, second = tf.while_loop(goes_on, one, start)
            return first, second

        traced = None

        def run(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal traced
            if traced is None:
                signature = [
                    tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in arrays
                ]
                traced = tf.function(steps, signature, autograph=False)
            first, second = traced(*map(tf.constant, arrays))
            return first.numpy(), second.numpy()

        return run

    def settle(self) -> None:
        """Does nothing: variables are where their values are."""

    def refresh(self, variables: Iterable[tf.Variable]) -> None:
        """Likewise."""


TENSORFLOW = TensorflowEngine()
