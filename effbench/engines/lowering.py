"""A TensorFlow function as the StableHLO that XLA compiles, with variables as arguments.

`jax2tf.call_tf` goes the same way from a TensorFlow function to what JAX compiles (HLO, StableHLO),
but is of no use here: captured variables, all our weights and features, become constants in it, and
it asks TensorFlow for its lowering "for TPU", which only the TPU build has (in this one not even
`Cast` has a kernel for it). So its steps are done here one by one, with the lowering for the CPU,
which is the same code but for a few ops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jax.interpreters import mlir
from jaxlib import _jax
from jaxlib.mlir import ir

from effbench.hardware.tensorflow_setup import tf
from effbench.models import preprocessing

CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


@dataclass(frozen=True)
class Captured:
    """What a function uses that is no input of it.

    Attributes:
        tensor: an array, or the handle of a variable.
        dtype: of the array, or of the variable's value.
    """

    tensor: tf.Tensor
    dtype: np.dtype

    @property
    def variable(self) -> bool:
        """Whether its value can change."""
        return bool(self.tensor.dtype == tf.resource)

    def read(self) -> np.ndarray:
        """Its present value."""
        if not self.variable:
            return np.asarray(self.tensor)
        return np.asarray(tf.raw_ops.ReadVariableOp(resource=self.tensor, dtype=self.dtype))

    def write(self, value: np.ndarray) -> None:
        """Gives the variable another value."""
        tf.raw_ops.AssignVariableOp(resource=self.tensor, value=tf.constant(value, self.dtype))


@dataclass(frozen=True)
class Lowered:
    """A function for XLA.

    Attributes:
        text: a StableHLO module; the same function is always the same text. Its arguments are the
            inputs, then what the function captures.
        captured: what the arguments after the inputs are.
        outputs: how many of its results are the function's own; they come first.
        changed: whose new values the others are, by position in `captured`.
    """

    text: str
    captured: tuple[Captured, ...]
    outputs: int
    changed: tuple[int, ...]


# What arguments may be.
_DTYPES = [
    np.dtype(dtype)
    for dtype in (
        *("float32", "float16", "float64", "int32", "int64", "uint8", "uint32", "uint64", "bool"),
        tf.bfloat16.as_numpy_dtype,
    )
]


def lower(
    function: Callable[..., object],
    inputs: Sequence[tf.TensorSpec],
    *,
    full_float32: bool = False,
) -> Lowered:
    """Lowers a function of tensors with these shapes and dtypes.

    Args:
        function: the function.
        inputs: its arguments.
        full_float32: see `in_full_float32`.

    Raises:
        ValueError: XLA would change something that is not a variable of the function.
    """
    traced = tf.function(function, jit_compile=True, autograph=False)
    with preprocessing.for_xla():
        concrete = traced.get_concrete_function(*inputs)
    hlo = traced.experimental_get_compiler_ir(*inputs)("hlo_serialized", device_name=CPU)
    outputs = len(tf.nest.flatten(concrete.structured_outputs))
    with mlir.make_ir_context():
        module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
        _without_copies(module)
        changed = _aliased(module, len(inputs), outputs)
        dtypes = [_dtype(argument) for argument in _main(module).type.inputs]
        text = str(module)
    names: dict[str, str] = {"@main": "@main"}
    # Names hold a number that counts the functions of a process, so they differ between processes.
    text = re.sub(r"@[\w.$-]+", lambda name: names.setdefault(name[0], f"@f{len(names)}"), text)
    captured = tuple(
        Captured(tensor, dtype)
        for tensor, dtype in zip(concrete.captured_inputs, dtypes[len(inputs) :], strict=True)
    )
    if full_float32:
        text = in_full_float32(text)
    return Lowered(text, captured, outputs, changed)


def in_full_float32(text: str) -> str:
    """The module with products of float32 numbers as exact as float32 is.

    XLA's default on recent NVIDIA cards is TF32, of 10 bits, and bfloat16 passes on TPUs.
    """
    return text.replace("precision = [DEFAULT, DEFAULT]", "precision = [HIGHEST, HIGHEST]")


def _without_copies(module: ir.Module) -> None:
    """Removes an op that is an identity, the only one that libtpu's compiler does not take."""
    copies: list[ir.Operation] = []

    def visit(operation: ir.Operation) -> ir.WalkResult:
        if operation.name == "mhlo.copy":
            copies.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    for copy in copies:
        copy.results[0].replace_all_uses_with(copy.operands[0])
        copy.erase()


def _aliased(module: ir.Module, inputs: int, outputs: int) -> tuple[int, ...]:
    """Lets new values of variables take the place of the old ones; says whose they are.

    The new values are the results after the function's own.
    """
    main_function = _main(module)
    results = range(outputs, len(main_function.type.results))
    argument = {}
    if results:
        for alias in module.operation.attributes["mhlo.input_output_alias"]:
            (number,) = list(alias["output_index"]) or [0]
            argument[number] = alias["alias"]["parameter_number"].value
    if set(argument) != set(results) or min(argument.values(), default=inputs) < inputs:
        raise ValueError(f"results {list(results)} are new values of arguments {argument}")
    attributes = [ir.DictAttr.get({})] * len(main_function.type.inputs)
    for number in results:
        index = ir.IntegerAttr.get(ir.IntegerType.get_signless(32), number)
        attributes[argument[number]] = ir.DictAttr.get({"tf.aliasing_output": index})
    main_function.attributes["arg_attrs"] = ir.ArrayAttr.get(attributes)
    return tuple(argument[number] - inputs for number in results)


def _main(module: ir.Module) -> ir.OpView:
    return next(operation for operation in module.body.operations if operation.name.value == "main")


def _dtype(argument: ir.Type) -> np.dtype:
    return next(dtype for dtype in _DTYPES if mlir.dtype_to_ir_type(dtype) == argument.element_type)
