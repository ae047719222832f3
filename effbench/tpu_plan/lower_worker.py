"""A process of its own that turns the programs of a run into what XLA compiles, and keeps them."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from effbench import child_process
from effbench.engines import lowering
from effbench.errors import EffbenchError
from effbench.files import write_atomically
from effbench.hardware.tensorflow_setup import tf
from effbench.tpu_plan.messages import LOWER_REQUEST, LOWERED, LoweredProgram
from effbench.tpu_plan.programs import programs
from effbench.training.replica_program import Program


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


def _lower(program: Program, folder: Path) -> LoweredProgram:
    module = stablehlo(program)
    if ("stablehlo.while" in module) != (program.body is not None):
        raise ValueError(f"{program.name}: a loop, and only that, needs its body by itself")
    return LoweredProgram(
        name=program.name,
        program=_keep(module, folder),
        images=program.images,
        calls=program.calls,
        held=program.held,
        body=_keep(stablehlo(program.body), folder) if program.body else "",
        turns=program.turns,
    )


def stablehlo(program: Program) -> str:
    """The program as the text of a StableHLO module."""
    return lowering.lower(program.function, program.inputs).text


def _keep(module: str, folder: Path) -> str:
    content = module.encode()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:24]}.mlir"
    write_atomically(path, content)
    return path.name


if __name__ == "__main__":
    sys.exit(main())
