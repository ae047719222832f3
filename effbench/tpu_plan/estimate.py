"""Arithmetic on what the compiler says: the memory and the time of a run. No measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from effbench.hardware.tpu_slices import Slice
from effbench.tpu_plan.messages import Compiled, LoweredProgram


@dataclass(frozen=True)
class ProgramEstimate:
    """What one call of a program comes to on one replica.

    Attributes:
        name: name of the program.
        images: images that a replica works on in one call.
        calls: calls on each replica in the whole run.
        problem: why it does not compile or fit, one line; "" if it does both.
        compiles: whether there is a program; too little memory counts as none.
        peak: bytes of HBM that it takes, with what other programs hold meanwhile; for a program
            that does not fit, what the compiler asked for, which is the least that it needs.
        excess: bytes that are too much, 0 where it fits.
        flops: floating-point operations of one call.
        bytes_accessed: bytes that one call reads and writes.
        seconds: seconds of one call; 0 without a program.
        source: where the seconds come from: "XLA", "FLOPs", "bytes", or "".
        compile_seconds: seconds that the compiler took on the machine that made the plan.
    """

    name: str
    images: int
    calls: int
    problem: str
    compiles: bool
    peak: int
    excess: int
    flops: float
    bytes_accessed: float
    seconds: float
    source: str
    compile_seconds: float

    @property
    def fits(self) -> bool:
        """Whether it could run."""
        return not self.problem

    @property
    def total_seconds(self) -> float:
        """Seconds of all calls of a run."""
        return self.calls * self.seconds


def estimate(
    lowered: LoweredProgram, whole: Compiled, body: Compiled | None, tpu: Slice
) -> ProgramEstimate:
    """What a program comes to, from what the compiler said of it and of its loop's body."""
    counted = whole if body is None else _unrolled(whole, body, lowered.turns)
    peak = whole.peak + lowered.held
    result = ProgramEstimate(
        name=lowered.name,
        images=lowered.images,
        calls=lowered.calls,
        problem=whole.problem or (body.problem if body else ""),
        compiles=not whole.problem,
        peak=peak,
        excess=0,
        flops=counted.flops,
        bytes_accessed=counted.bytes_accessed,
        seconds=0.0,
        source="",
        compile_seconds=whole.seconds,
    )
    room = whole.available or tpu.hbm
    # A refusal for another reason says nothing of memory.
    excess = max(0, peak - room) if whole.available or result.compiles else 0
    if excess:
        problem = f"needs {gib(peak)} of {gib(room)} GiB, {gib(excess)} GiB too much"
        return replace(result, excess=excess, problem=problem)
    if result.problem:
        return result
    seconds, source = _seconds(counted, tpu)
    return replace(result, seconds=seconds, source=source)


def gib(size: float) -> str:
    """Bytes in GiB."""
    return f"{size / 2**30:.2f}"


def _unrolled(whole: Compiled, body: Compiled, turns: int) -> Compiled:
    """The counts with every turn of the loop in them: XLA counts a loop's body once."""
    more = turns - 1
    known = min(whole.optimal_seconds, body.optimal_seconds) >= 0
    return replace(
        whole,
        flops=whole.flops + more * body.flops,
        bytes_accessed=whole.bytes_accessed + more * body.bytes_accessed,
        optimal_seconds=whole.optimal_seconds + more * body.optimal_seconds if known else -1.0,
    )


def _seconds(counted: Compiled, tpu: Slice) -> tuple[float, str]:
    """The time of a call, and where it comes from.

    XLA subtracts a second for every part that it cannot estimate, and no estimate that is faster
    than the published peaks can be true: then the roofline holds.
    """
    compute = counted.flops / tpu.flops_per_second
    memory = counted.bytes_accessed / tpu.bytes_per_second
    roofline, source = max((compute, "FLOPs"), (memory, "bytes"))
    if math.isfinite(counted.optimal_seconds) and counted.optimal_seconds >= roofline:
        return counted.optimal_seconds, "XLA"
    return roofline, source
