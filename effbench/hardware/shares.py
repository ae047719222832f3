"""A machine divided among several processes: GPUs, TPU chips, or groups of a CPU's cores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from effbench.cpu import cores
from effbench.errors import UsageError
from effbench.hardware import tpu

_GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Share:
    """What one of the processes has.

    Attributes:
        name: "gpu 0", "chip 0" or "cores 0-3".
        environment: variables by which libraries see no more than that.
        cores: numbers of the processors that it is pinned to; none leaves it all of them.
    """

    name: str
    environment: Mapping[str, str]
    cores: tuple[int, ...]

    def pin(self) -> None:
        """Keeps this process, and all that it starts, on its processors."""
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)


def accelerators(device: str) -> tuple[str, ...]:
    """The numbers of this machine's GPUs or chips; none for a CPU."""
    if device == "gpu":
        visible = os.environ.get(_GPUS)
        if visible is not None:
            return tuple(part.strip() for part in visible.split(",") if part.strip())
        nodes = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
        return tuple(sorted(nodes, key=int)) or ("0",)
    if device == "tpu":
        chips = tpu.chips()
        return tuple(map(str, range(chips.count if chips else 1)))
    return ()


def divide(device: str, count: int) -> list[Share]:
    """The machine in `count` shares: each has one accelerator, and its part of the cores.

    Raises:
        UsageError: it has not as many accelerators or cores.
    """
    there = accelerators(device)
    most = len(there) if there else cores()
    if not 1 <= count <= most:
        what = {"gpu": "GPUs", "tpu": "chips", "cpu": "cores"}[device]
        rule = f"--parallel goes from 1 to the {what} of this machine, {most}"
        raise UsageError(rule, str(count), "give fewer, or auto")
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    shares = []
    for number in range(count):
        begin, end = (len(processors) * at // count for at in (number, number + 1))
        part = tuple(processors[begin:end])
        threads = {
            "TF_NUM_INTRAOP_THREADS": str(max(1, len(part))),
            "OMP_NUM_THREADS": str(max(1, len(part))),
        }
        if device == "gpu":
            name, visible = f"gpu {there[number]}", {_GPUS: there[number]}
        elif device == "tpu":
            name, visible = f"chip {there[number]}", _one_chip(there[number])
        else:
            numbers = f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0] if part else number}"
            name, visible = f"core{'s' * (len(part) > 1)} {numbers}", {}
        shares.append(Share(name, threads | visible, part))
    return shares


def _one_chip(number: str) -> dict[str, str]:
    """What libtpu reads to take one chip (jax-ml/jax, `docs/running_multiple_processes`)."""
    return {
        "TPU_VISIBLE_CHIPS": number,
        "TPU_CHIPS_PER_PROCESS_BOUNDS": "1,1,1",
        "TPU_PROCESS_BOUNDS": "1,1,1",
    }


def chip_replicas() -> int:
    """Copies of a program on one chip of this machine; 1 where its generation is not known."""
    chips = tpu.chips()
    generation = chips.generation if chips else None
    return generation.replicas if generation else 1
