"""What engines have in common that run frozen backbones alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from effbench.engines.engine import Function, Loop, Program
from effbench.hardware.tensorflow_setup import tf


class FrozenEngine:
    """An `Engine` of functions whose variables never change.

    Their values are part of the compiled program.
    """

    name: str
    version: str
    device = ""
    count = 1
    float32_graph = True
    runs_steps = False
    all_cores = True

    def compiled(self, function: Function, inputs: Sequence[tf.TensorSpec]) -> Program:
        """A function for inputs of these shapes and dtypes, with names of their own."""
        raise NotImplementedError

    def compile(self, function: Function) -> Program:
        """As `Engine` says."""
        programs: dict[tuple[tuple[int, ...], ...], Program] = {}

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            shapes = tuple(array.shape for array in arrays)
            if shapes not in programs:
                inputs = [
                    tf.TensorSpec(array.shape, array.dtype, f"input{number}")
                    for number, array in enumerate(arrays)
                ]
                programs[shapes] = self.compiled(function, inputs)
            return programs[shapes](*arrays)

        return run

    def loop(self, step: Function) -> Loop:
        """Raises an error: a step changes variables."""
        raise NotImplementedError(f"{self.name} runs no training steps")

    def settle(self) -> None:
        """Does nothing: programs change no variable."""

    def refresh(self, variables: Iterable[tf.Variable]) -> None:
        """Does nothing: what a frozen backbone is made of is assigned before it is compiled."""
