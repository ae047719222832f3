"""A process of its own that turns the programs of a run into what XLA compiles, and keeps them.

`jax2tf.call_tf` goes the same way from a TensorFlow function to what JAX compiles (HLO, StableHLO),
but is of no use here: captured variables, all our weights and features, become constants in it, and
it asks TensorFlow for its lowering "for TPU", which only the TPU build has (in this one not even
`Cast` has a kernel for it). So its steps are done here one by one, with the lowering for the CPU,
which is the same code but for a few ops, and with variables as arguments.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from jax.interpreters import mlir
from jaxlib import _jax
from jaxlib.mlir import ir

from effbench import child_process
from effbench.errors import EffbenchError
from effbench.files import write_atomically
from effbench.hardware.tensorflow_setup import tf
from effbench.tpu_plan.messages import LOWER_REQUEST, LOWERED, Lowered
from effbench.tpu_plan.programs import programs
from effbench.training.replica_program import Program

CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


def main() -> int:
    """Reads a request, keeps the programs that it asks for, and answers with what they are."""
    answer = child_process.channel()
    order = LOWER_REQUEST.validate_json(next(child_process.asked()))
    tf.config.set_visible_devices([], "GPU")
    try:
        run_programs = programs(order.spec, order.data, order.batch, order.replicas)
        done = tuple(_lower(program, order.folder) for program in run_programs)
    except EffbenchError as error:
        print(error, file=sys.stderr)
        return child_process.REFUSED
    answer.write(LOWERED.dump_json(done) + b"\n")
    return 0


def _lower(program: Program, folder: Path) -> Lowered:
    module = stablehlo(program)
    if ("stablehlo.while" in module) != (program.body is not None):
        raise ValueError(f"{program.name}: a loop, and only that, needs its body by itself")
    return Lowered(
        name=program.name,
        program=_keep(module, folder),
        images=program.images,
        calls=program.calls,
        held=program.held,
        body=_keep(stablehlo(program.body), folder) if program.body else "",
        turns=program.turns,
    )


def stablehlo(program: Program) -> str:
    """The program as the text of a StableHLO module; the same program is always the same text."""
    traced = tf.function(program.function, jit_compile=True, autograph=False)
    hlo = traced.experimental_get_compiler_ir(*program.inputs)("hlo_serialized", device_name=CPU)
    with mlir.make_ir_context():
        module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
        copies: list[ir.Operation] = []

        def visit(operation: ir.Operation) -> ir.WalkResult:
            if operation.name == "mhlo.copy":
                copies.append(operation)
            return ir.WalkResult.ADVANCE

        module.operation.walk(visit)
        # This op is an identity, and the only one that libtpu's compiler does not take.
        for copy in copies:
            copy.results[0].replace_all_uses_with(copy.operands[0])
            copy.erase()
        known = len(program.inputs)
        _alias(
            module,
            known,
            len(tf.nest.flatten(traced.get_concrete_function(*program.inputs).structured_outputs)),
        )
        text = str(module)
    names: dict[str, str] = {"@main": "@main"}
    # Names hold a number that counts the functions of a process, so they differ between processes.
    return re.sub(r"@[\w.$-]+", lambda name: names.setdefault(name[0], f"@f{len(names)}"), text)


def _alias(module: ir.Module, inputs: int, outputs: int) -> None:
    """Lets new values of variables take the place of the old ones, as they do in a run.

    Among the arguments the variables follow the inputs; among the results, those that change follow
    the outputs, in the same order.

    Raises:
        ValueError: the variables are not in that order.
    """
    main_function = next(
        operation for operation in module.body.operations if operation.name.value == "main"
    )
    arguments, results = main_function.type.inputs, main_function.type.results
    attributes = [ir.DictAttr.get({})] * len(arguments)
    position = inputs - 1
    for number in range(outputs, len(results)):
        later = range(position + 1, len(arguments))
        position = next((at for at in later if arguments[at] == results[number]), -1)
        if position < 0:
            raise ValueError(f"result {number} is no variable: {results[number]}")
        index = ir.IntegerAttr.get(ir.IntegerType.get_signless(32), number)
        attributes[position] = ir.DictAttr.get({"tf.aliasing_output": index})
    main_function.attributes["arg_attrs"] = ir.ArrayAttr.get(attributes)


def _keep(module: str, folder: Path) -> str:
    content = module.encode()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:24]}.mlir"
    write_atomically(path, content)
    return path.name


if __name__ == "__main__":
    sys.exit(main())
