"""Programs as files: what a machine with JAX and numpy alone needs to run them, and what it says.

Nothing here needs more than numpy: it is copied to such a machine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

LIST = "programs.json"


@dataclass(frozen=True)
class Argument:
    """An array that a program takes, and values it may have: drawn, or those of the program's file.

    Attributes:
        shape: its shape.
        dtype: numpy's name of it.
        low: the smallest value.
        high: the largest one.
        mean: the mean of the values.
        deviation: their standard deviation; 0 is all equal.
    """

    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    mean: float
    deviation: float

    def drawn(self, generator: np.random.Generator) -> np.ndarray:
        """Values of a normal distribution, cut off at the ends; integers are evenly spread."""
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iub":
            return generator.integers(int(self.low), int(self.high) + 1, self.shape).astype(dtype)
        values = generator.standard_normal(self.shape, np.float32) * self.deviation + self.mean
        return np.clip(values, self.low, self.high).astype(dtype)


@dataclass(frozen=True)
class ProgramFile:
    """One program.

    Attributes:
        name: different for each of a folder; the names of its files begin with it.
        variant: the network.
        work: "features" or "step".
        image_size: pixels that the network sees.
        precision: a Keras policy.
        batch: images of a call.
        inputs: what is new in every call.
        state: what comes after it: weights and other arrays that stay on the device.
        changed: which of `state` the last results replace, in the order of these.
        outputs: how many results come before those.
        stored: whether the arguments, and the results they should give, lie beside the program as
            `name.npz`; else they are drawn.
    """

    name: str
    variant: str
    work: str
    image_size: int
    precision: str
    batch: int
    inputs: tuple[Argument, ...]
    state: tuple[Argument, ...]
    changed: tuple[int, ...]
    outputs: int
    stored: bool


def write_list(folder: Path, programs: list[ProgramFile], effbench: str) -> None:
    """Writes what programs the folder has, and which effbench made them."""
    content = {"effbench": effbench, "programs": [asdict(program) for program in programs]}
    (folder / LIST).write_text(json.dumps(content, indent=1), "utf-8")


def read_list(folder: Path) -> tuple[str, list[ProgramFile]]:
    """The version of effbench that made the folder, and its programs."""
    content = json.loads((folder / LIST).read_text("utf-8"))
    programs = []
    for row in content["programs"]:
        for name in ("inputs", "state"):
            row[name] = tuple(
                Argument(**argument | {"shape": tuple(argument["shape"])}) for argument in row[name]
            )
        programs.append(ProgramFile(**row | {"changed": tuple(row["changed"])}))
    return content["effbench"], programs
