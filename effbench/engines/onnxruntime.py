"""Forward passes of frozen backbones by ONNX Runtime, on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from google.protobuf.message import EncodeError

from effbench.cpu import cores
from effbench.engines.engine import Function, Program
from effbench.engines.frozen import FrozenEngine
from effbench.errors import DeviceError
from effbench.hardware.onnx_setup import onnx, onnxruntime, tf2onnx
from effbench.hardware.tensorflow_setup import tf

# The newest that this tf2onnx writes; ONNX Runtime and OpenVINO read newer ones, too.
OPSET = 18


class OnnxruntimeEngine(FrozenEngine):
    """Computes in float32."""

    name = "onnxruntime"
    version = f"ONNX Runtime {onnxruntime.__version__}"

    def __init__(self, precision: str) -> None:
        """`precision` is a row of `precisions.PRECISIONS`.

        Raises:
            DeviceError: it is another one than float32.
        """
        if precision != "float32":
            hint = "use --precision float32, or --engine auto"
            raise DeviceError("ONNX Runtime computes in float32 on a CPU", precision, hint)

    def compiled(self, function: Function, inputs: Sequence[tf.TensorSpec]) -> Program:
        """As `FrozenEngine` says.

        Raises:
            DeviceError: the network is too large.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        try:
            content = converted(function, inputs).SerializeToString()
        except EncodeError as error:
            raise DeviceError(
                "ONNX Runtime takes networks of 2 GB", str(error), "use --engine tensorflow"
            ) from error
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        names = [port.name for port in session.get_inputs()]

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            results: list[np.ndarray] = session.run(None, dict(zip(names, arrays, strict=True)))
            return results

        return run


def converted(function: Function, inputs: Sequence[tf.TensorSpec]) -> onnx.ModelProto:
    """ONNX's model of a function."""
    traced = tf.function(function, autograph=False)
    model, _ = tf2onnx.convert.from_function(traced, inputs, OPSET)
    return model
