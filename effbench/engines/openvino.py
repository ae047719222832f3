"""Forward passes of frozen backbones by OpenVINO, on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from effbench.cpu import cores
from effbench.engines.engine import Function, Program
from effbench.engines.frozen import FrozenEngine
from effbench.errors import DeviceError
from effbench.hardware import machine
from effbench.hardware.openvino_setup import openvino
from effbench.hardware.tensorflow_setup import tf

# What OpenVINO calls our precisions.
PRECISIONS = {"float32": "f32", "mixed_bfloat16": "bf16"}


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16; others would compute in float32 and not say so."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def converted(concrete: tf.types.experimental.ConcreteFunction) -> openvino.Model:
    """OpenVINO's model of a traced function, with the outputs that the function has."""
    whole = openvino.convert_model(concrete)
    # Every custom gradient of the graph is an output of it, too.
    names = [tensor.name for tensor in concrete.outputs]
    ports = [next(port for port in whole.outputs if name in port.names) for name in names]
    results = [port.get_node().input_value(0) for port in ports]
    return openvino.Model(results, whole.get_parameters(), "")


class OpenvinoEngine(FrozenEngine):
    """Computes in float32, or in bfloat16 where the CPU does."""

    name = "openvino"
    version = openvino.get_version()

    def __init__(self, precision: str) -> None:
        """`precision` is a row of `PRECISIONS`; the functions themselves compute in float32.

        Raises:
            DeviceError: the CPU has no such precision.
        """
        if precision == "mixed_bfloat16" and not has_bfloat16():
            raise DeviceError(
                "OpenVINO computes in bfloat16 on a CPU that does",
                machine.cpu_name(),
                "use --precision float32, or --engine tensorflow, which imitates it",
            )
        self._options = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }

    def compiled(self, function: Function, inputs: Sequence[tf.TensorSpec]) -> Program:
        """As `FrozenEngine` says."""
        concrete = tf.function(function, autograph=False).get_concrete_function(*inputs)
        model = openvino.Core().compile_model(converted(concrete), "CPU", self._options)

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            results = model(list(arrays))
            return [np.array(results[port]) for port in model.outputs]

        return run
