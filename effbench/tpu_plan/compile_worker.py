"""A process of its own that compiles one program for a TPU that this machine does not have."""

from __future__ import annotations

import os
import re
import sys
import time

os.environ["JAX_PLATFORMS"] = "cpu"
# Off a TPU, libtpu asks the cloud's metadata server for minutes what kind of machine this is.
os.environ["TPU_SKIP_MDS_QUERY"] = "1"
# No chip is used, so there is none that two of these processes could fight for.
os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
os.environ["TPU_LOG_DIR"] = "disabled"

import numpy as np
from jax.errors import JaxRuntimeError
from jax.experimental import topologies
from jax.interpreters import mlir
from jaxlib import _jax, xla_client
from jaxlib.mlir import ir

from effbench import child_process
from effbench.errors import DeviceError, one_line
from effbench.tpu_plan.messages import COMPILE_REQUEST, COMPILED, Compiled, CompileRequest

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = r"\(?([\d.]+)([KMGT]?)i?B?\)?"
# How the compiler says that there is too little memory: today's wording, and an older one.
_TOO_LITTLE = (
    re.compile(rf"{_SIZE} exceeds available HBM {_SIZE}"),
    re.compile(rf"Used {_SIZE} of {_SIZE} hbm", re.IGNORECASE),
)


def main() -> int:
    """Reads a request to compile a program, compiles it, and answers with what came out."""
    answer = child_process.channel()
    task = COMPILE_REQUEST.validate_json(next(child_process.asked()))
    try:
        devices = _devices(task)
    except (JaxRuntimeError, OSError, ValueError, RuntimeError) as error:
        hint = "install what 'effbench plan' needs again, see the README"
        print(DeviceError("libtpu does not load", _first(error), hint), file=sys.stderr)
        return child_process.REFUSED
    answer.write(COMPILED.dump_json(_compile(task, devices)) + b"\n")
    return 0


def _devices(task: CompileRequest) -> tuple[_jax.Device, ...]:
    # The cores of a v4 are joined by its configuration; a v5p's are anyhow.
    configuration = {"chip_config_name": "megacore"} if task.joined else {}
    topology = topologies.get_topology_desc(task.topology, "tpu", **configuration)
    return tuple(topology.devices[: task.replicas])


def _compile(task: CompileRequest, devices: tuple[_jax.Device, ...]) -> Compiled:
    """Compiles for all replicas, with the sums over them.

    Raises:
        JaxRuntimeError: this machine, not the program, stands in the way.
    """
    options = xla_client.CompileOptions()
    options.num_replicas = len(devices)
    numbers = np.array([[device.id] for device in devices], np.int32)
    options.device_assignment = _jax.DeviceAssignment.create(numbers)
    started = time.monotonic()
    with mlir.make_ir_context():
        module = ir.Module.parse(task.path.read_bytes())
        try:
            executable = devices[0].client.compile(module, _jax.DeviceList(devices), options)
        except JaxRuntimeError as error:
            return rejected(str(error), time.monotonic() - started)
    memory = executable.get_compiled_memory_stats()
    cost = executable.cost_analysis()
    return Compiled(
        problem="",
        seconds=round(time.monotonic() - started, 2),
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes,
        aliased=memory.alias_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        flops=cost.get("flops", 0.0),
        bytes_accessed=cost.get("bytes accessed", 0.0),
        optimal_seconds=cost.get("optimal_seconds", -1.0),
    )


def rejected(message: str, seconds: float) -> Compiled:
    """What the compiler said when it refused a program.

    Raises:
        MemoryError: it is this machine that lacks memory, not the TPU.
    """
    match = next(filter(None, (pattern.search(message) for pattern in _TOO_LITTLE)), None)
    if match is None and message.startswith("RESOURCE_EXHAUSTED"):
        raise MemoryError(one_line(message))
    needed, available = (
        [round(float(match[n]) * _UNITS[match[n + 1].upper()]) for n in (1, 3)] if match else (0, 0)
    )
    line = next((line for line in message.splitlines() if line.strip()), "no reason given")
    return Compiled(
        problem=one_line(line),
        seconds=round(seconds, 2),
        temporaries=needed,
        available=available,
    )


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    sys.exit(main())
