"""TensorFlow's functions, compiled by XLA and run by PJRT on devices that JAX sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import jax
import numpy as np

from effbench.engines import compiled_programs, lowering, pjrt, xla_devices
from effbench.engines.engine import Function, Loop, Program
from effbench.engines.lowering import Captured
from effbench.errors import DeviceLostError
from effbench.hardware.tensorflow_setup import tf
from effbench.progress import Report, silent

# Calls of a step that may wait for the device. With more, its queue would hold all their inputs.
AHEAD = 8

# What XLA says of a device that is gone: a preempted TPU, a card that fell off its bus.
_LOST = ("UNAVAILABLE", "ABORTED", "DATA_LOSS", "CUDA_ERROR", "halted")


class XlaEngine:
    """Programs whose variables stay on the device from one call to the next."""

    name = "xla"
    float32_graph = False
    runs_steps = True
    all_cores = True

    def __init__(
        self,
        kind: str,
        cpus: int = 1,
        *,
        full_float32: bool = True,
        report: Report = silent,
    ) -> None:
        """Takes all devices of a kind.

        Args:
            kind: "cpu", "gpu" or "tpu".
            cpus: how many devices the CPU is to be.
            full_float32: compute float32 as such, where the device would rather be quick.
            report: told of programs that have to be compiled again.

        Raises:
            DeviceError: JAX cannot use such a device, e.g. as its plugin is newer than the driver.
        """
        try:
            devices = pjrt.devices(kind, cpus)
        except RuntimeError as error:
            raise xla_devices.unusable(kind, error) from error
        self._replicas = pjrt.Replicas(devices)
        self._full_float32 = full_float32
        self._report = report
        self.device = devices[0].device_kind
        self.count = len(devices)
        self.version = pjrt.driver(devices[0])
        # Arrays on the device by the tensor they are of, which is kept so that its id stays its.
        self._held: dict[int, tuple[Captured, jax.Array]] = {}
        self._newer: dict[int, Captured] = {}

    def compile(self, function: Function) -> Program:
        """As `Engine` says."""
        start = self._started(function)

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            with _device_errors():
                return [np.array(result) for result in start(*arrays)]

        return run

    def loop(self, step: Function) -> Loop:
        """As `Engine` says, but that steps are started before the last one's result is known."""
        start = self._started(step)

        def run(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            count = len(arrays[0])
            first, second = np.zeros(count, np.float32), np.zeros((count, 2), np.float32)
            results: list[list[jax.Array]] = []
            with _device_errors():
                for number in range(count):
                    results.append(start(*(array[number] for array in arrays)))
                    if number >= AHEAD:
                        results[number - AHEAD][0].block_until_ready()
                for number, (loss, pair) in enumerate(results):
                    first[number], second[number] = loss, pair
                    if not np.isfinite(first[number]):
                        break
            return first, second

        return run

    def settle(self) -> None:
        """As `Engine` says; of what replicas have each their own, it is the mean."""
        for key, captured in self._newer.items():
            captured.write(pjrt.mean(self._held[key][1]))
        self._newer.clear()

    def refresh(self, variables: Iterable[tf.Variable]) -> None:
        """As `Engine` says."""
        for variable in variables:
            self._held.pop(id(variable.handle), None)
            self._newer.pop(id(variable.handle), None)

    def _started(self, function: Function) -> Callable[..., list[jax.Array]]:
        """What starts a function on arrays, and gives its results before they are computed."""
        programs: dict[tuple[tuple[int, ...], ...], _Compiled] = {}

        def start(*arrays: np.ndarray) -> list[jax.Array]:
            shapes = tuple(array.shape for array in arrays)
            if shapes not in programs:
                programs[shapes] = self._compiled(function, arrays)
            lowered, executable = programs[shapes]
            state = [self._value(captured) for captured in lowered.captured]
            inputs = [self._replicas.put(array) for array in arrays]
            results = executable([*inputs, *state])
            for index, value in zip(lowered.changed, results[lowered.outputs :], strict=True):
                captured = lowered.captured[index]
                self._held[id(captured.tensor)] = captured, value
                self._newer[id(captured.tensor)] = captured
            return results[: lowered.outputs]

        return start

    def _compiled(self, function: Function, arrays: Sequence[np.ndarray]) -> _Compiled:
        specs = [tf.TensorSpec(array.shape, array.dtype) for array in arrays]
        lowered = lowering.lower(function, specs, full_float32=self._full_float32)
        return lowered, compiled_programs.get(lowered.text, self._replicas, self._report)

    def _value(self, captured: Captured) -> jax.Array:
        key = id(captured.tensor)
        if key not in self._held:
            self._held[key] = captured, self._replicas.put(captured.read())
        return self._held[key][1]


@contextmanager
def _device_errors() -> Iterator[None]:
    """Turns a device's lack of memory, and its loss, into the errors that they are elsewhere."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        line = str(error).splitlines()[0]
        if "RESOURCE_EXHAUSTED" in line:
            raise MemoryError(line) from error
        if any(word in line for word in _LOST):
            hint = "the next sweep goes on from the last checkpoint"
            raise DeviceLostError("the device was lost in a program", line, hint) from error
        raise


_Compiled = tuple[lowering.Lowered, pjrt.Executable]
