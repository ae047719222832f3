"""Forward passes of frozen backbones by ONNX Runtime, on a CPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from google.protobuf.message import EncodeError

from effbench.cpu import cores
from effbench.engines.engine import Function, Loop, Program
from effbench.errors import DeviceError
from effbench.hardware.onnx_setup import onnx, onnxruntime, tf2onnx
from effbench.hardware.tensorflow_setup import tf

# The newest that this tf2onnx writes; ONNX Runtime and OpenVINO read newer ones, too.
OPSET = 18


class OnnxruntimeEngine:
    """Functions whose variables never change: their values are part of the compiled program."""

    name = "onnxruntime"
    version = f"ONNX Runtime {onnxruntime.__version__}"
    device = ""
    count = 1
    float32_graph = True
    runs_steps = False

    def __init__(self, precision: str) -> None:
        """`precision` is a row of `precisions.PRECISIONS`.

        Raises:
            DeviceError: it is another one than float32.
        """
        if precision != "float32":
            hint = "use --precision float32, or --engine auto"
            raise DeviceError("ONNX Runtime computes in float32 on a CPU", precision, hint)

    def compile(self, function: Function) -> Program:
        """As `Engine` says."""
        programs: dict[tuple[tuple[int, ...], ...], onnxruntime.InferenceSession] = {}

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            shapes = tuple(array.shape for array in arrays)
            if shapes not in programs:
                programs[shapes] = _compiled(function, arrays)
            names = [port.name for port in programs[shapes].get_inputs()]
            results: list[np.ndarray] = programs[shapes].run(
                None, dict(zip(names, arrays, strict=True))
            )
            return results

        return run

    def loop(self, step: Function) -> Loop:
        """Raises an error: a step changes variables."""
        raise NotImplementedError("ONNX Runtime runs no training steps")

    def settle(self) -> None:
        """Does nothing: programs change no variable."""

    def refresh(self, variables: Iterable[tf.Variable]) -> None:
        """Does nothing: what a frozen backbone is made of is assigned before it is compiled."""


def converted(function: Function, inputs: Sequence[tf.TensorSpec]) -> onnx.ModelProto:
    """ONNX's model of a function."""
    traced = tf.function(function, autograph=False)
    model, _ = tf2onnx.convert.from_function(traced, inputs, OPSET)
    return model


def _compiled(function: Function, arrays: Sequence[np.ndarray]) -> onnxruntime.InferenceSession:
    specs = [
        tf.TensorSpec(array.shape, array.dtype, f"input{number}")
        for number, array in enumerate(arrays)
    ]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    try:
        content = converted(function, specs).SerializeToString()
    except EncodeError as error:
        raise DeviceError(
            "ONNX Runtime takes networks of 2 GB", str(error), "use --engine tensorflow"
        ) from error
    return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
