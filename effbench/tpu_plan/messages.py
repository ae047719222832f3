"""What a plan and the processes that it starts say to each other: each message is a JSON line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from effbench.config.run_spec import RunSpec
from effbench.data.outline import Outline


@dataclass(frozen=True)
class LowerRequest:
    """Programs to be lowered.

    Attributes:
        spec: what the run is; the batch of its recipe is that of all replicas.
        data: how many images of what kind it is on.
        batch: images that a replica takes at once where the network runs, or None for what the run
            takes.
        replicas: how many replicas share the work.
        folder: where programs are kept.
    """

    spec: RunSpec
    data: Outline
    batch: int | None
    replicas: int
    folder: Path


@dataclass(frozen=True)
class LoweredProgram:
    """One program of a replica, as XLA gets it.

    Attributes:
        name: what it does.
        program: name of its file.
        images: images that a replica works on in one call.
        calls: calls on each replica in the whole run.
        held: bytes that other programs' arrays take on the device meanwhile.
        body: name of the file that holds its loop's body as a program, "" for no loop.
        turns: turns of that loop in one call; 1 without a loop.
    """

    name: str
    program: str
    images: int
    calls: int
    held: int
    body: str
    turns: int


@dataclass(frozen=True)
class CompileRequest:
    """A program to be compiled.

    Attributes:
        path: file of the program.
        topology: the slice's topology, as libtpu calls it.
        joined: whether the cores of a chip are one device.
        replicas: how many devices run it together.
    """

    path: Path
    topology: str
    joined: bool
    replicas: int


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of a program on one kind of chip.

    Attributes:
        problem: why it does not compile, one line; "" if it does.
        seconds: seconds that the compiler took.
        arguments: bytes of HBM for inputs, variables and held arrays.
        outputs: bytes of HBM for what comes out.
        aliased: bytes of those outputs that take the place of arguments.
        temporaries: bytes of HBM for what is needed in between.
        code: bytes of HBM for the program itself.
        available: bytes of HBM that there are, if the compiler found them too few; else 0.
        flops: floating-point operations of one call, a loop's body counted once.
        bytes_accessed: bytes that one call reads and writes, a loop's body counted once.
        optimal_seconds: XLA's own estimate of a call; negative where it has none for some part.
    """

    problem: str
    seconds: float
    arguments: int = 0
    outputs: int = 0
    aliased: int = 0
    temporaries: int = 0
    code: int = 0
    available: int = 0
    flops: float = 0.0
    bytes_accessed: float = 0.0
    optimal_seconds: float = -1.0

    @property
    def peak(self) -> int:
        """The most bytes of HBM that a call takes; the least, if the compiler found too few."""
        return self.temporaries + self.arguments + self.outputs - self.aliased + self.code


LOWER_REQUEST = TypeAdapter(LowerRequest)
LOWERED = TypeAdapter(tuple[LoweredProgram, ...])
COMPILE_REQUEST = TypeAdapter(CompileRequest)
COMPILED = TypeAdapter(Compiled)
