"""Checkpoints of a training: two are kept, each whole or not there, and verified when read.

A file is written beside its place, and gets its name, which holds its hash, when it is on the disk.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, TypeAdapter, ValidationError

from effbench.errors import CheckpointError
from effbench.files import publish, scratch_file, sha256
from effbench.records.scores import Epoch

# The format of the files: those of another format, or of other software, are refused.
FORMAT = 2
KEPT = 2


@dataclass
class State:
    """The progress of a training: all that it changes besides its variables.

    Attributes:
        epoch: the epoch that is under way, counted from 0.
        steps_done: how many of its steps are done.
        step: how many steps are done in all.
        loss: sum of the losses of this epoch's steps.
        correct: images right at top-1 in this epoch.
        top5_correct: images right at top-5 in this epoch.
        history: the epochs that are finished.
        seconds: seconds of training, over all processes.
        resumed: how often the training went on from a checkpoint.
    """

    epoch: int = 0
    # Files have had another name for it from the beginning.
    steps_done: Annotated[int, Field(alias="place")] = 0
    step: int = 0
    loss: float = 0.0
    correct: int = 0
    top5_correct: int = 0
    history: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0
    resumed: int = 0


@dataclass(frozen=True)
class Deferred:
    """An array that NumPy reads when it writes it, so that no two of them are copied at once."""

    read: Callable[[], ArrayLike]

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        """Reads the values as they are now; a single number becomes an array."""
        return np.asarray(self.read())


@dataclass(frozen=True)
class Checkpoint:
    """A state with its arrays.

    Attributes:
        state: the progress of the training.
        variables: as `fine_tune_step.NetworkTrainer.state` returns them, or still to be read.
        kept: by epoch, the weights of finished ones that a rule of selection may still choose.
    """

    state: State
    variables: Sequence[ArrayLike]
    kept: dict[int, list[np.ndarray]]


@dataclass(frozen=True)
class _About:
    """What stands in a checkpoint beside its arrays: whose it is, how many of what, and the state.

    Of `variables` there are so many arrays, and of `kept` so many for each epoch, in this order.
    """

    format: int
    run: str
    software: str
    variables: int
    kept: dict[int, int]
    state: State


_ABOUT = TypeAdapter(_About)

# The errors that the libraries raise when they read a damaged archive.
_UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile)


class Keeper:
    """The checkpoints of one run."""

    def __init__(self, folder: Path, run: str, software: str, minutes: float | None) -> None:
        """Nothing is read or written yet.

        Args:
            folder: holds the checkpoints of this run alone.
            run: the key of the run.
            software: what writes them; other software would not go on as this began.
            minutes: time between two checkpoints; None keeps none.
        """
        self._folder = folder
        self._run = run
        self._software = software
        self._kept = minutes is not None
        self._seconds = (minutes or 0) * 60
        self._last = time.monotonic()
        self.damaged: tuple[str, ...] = ()
        """Names of the checkpoints that `load` could not use, and removed."""

    @property
    def due(self) -> bool:
        """Whether it is time for a new checkpoint."""
        return self._kept and time.monotonic() - self._last >= self._seconds

    def before(self, step: int) -> str:
        """The name of the newest checkpoint that was followed by a good step, before one failed.

        Args:
            step: how many steps were good; the weights after just as many led to the failure.

        Returns:
            "none" if there is none.
        """
        return next((str(path) for path in self._paths() if _step(path) < step), "none")

    def load(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None. Those that are damaged are removed.

        Raises:
            CheckpointError: the newest is of another run, or of other software.
        """
        for path in self._paths() if self._kept else []:
            about = self._read(path)
            if about is not None:
                return about
            self.damaged += (path.name,)
            path.unlink(missing_ok=True)
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, and removes all but the last two.

        Raises:
            DiskError: it cannot be written; the earlier ones are still there.
        """
        if not self._kept:
            return
        kept = {epoch: len(weights) for epoch, weights in checkpoint.kept.items()}
        about = _About(
            FORMAT, self._run, self._software, len(checkpoint.variables), kept, checkpoint.state
        )
        text = _ABOUT.dump_json(about, by_alias=True)
        weights = chain.from_iterable(checkpoint.kept.values())
        arrays = [np.frombuffer(text, np.uint8), *checkpoint.variables, *weights]
        # Always the same name, so that what a killed process has left there is written over.
        with scratch_file(self._folder / ".writing") as file:
            np.savez(file, *arrays)
            publish(file, self._folder / _name(checkpoint.state.step, file))
            for old in self._paths()[KEPT:]:
                old.unlink(missing_ok=True)
        self._last = time.monotonic()

    def _paths(self) -> list[Path]:
        """The checkpoints, the newest first."""
        return sorted(self._folder.glob("step-*.npz"), reverse=True)

    def _read(self, path: Path) -> Checkpoint | None:
        try:
            with path.open("rb") as file:
                if path.name != _name(_step(path), file):
                    return None
            with np.load(path, allow_pickle=False) as archive:
                text, *arrays = (archive[name] for name in archive.files)
            about = _ABOUT.validate_json(text.tobytes())
        except ValidationError:
            about = None
        except _UNREADABLE:
            return None
        wanted = {"run": self._run, "software": self._software, "format": FORMAT}
        stored = {name: getattr(about, name, "unknown") for name in wanted}
        differing = [name for name in wanted if stored[name] != wanted[name]]
        if about is None or differing:
            raise CheckpointError(
                f"{path.name} is a checkpoint of another run or another effbench",
                ", ".join(f"{name} {stored[name]}, not {wanted[name]}" for name in differing),
                f"remove {self._folder} to begin this run anew",
            )
        rest = iter(arrays)
        variables = list(islice(rest, about.variables))
        kept = {epoch: list(islice(rest, count)) for epoch, count in about.kept.items()}
        return Checkpoint(about.state, variables, kept)


def _step(path: Path) -> int:
    return int(path.name.split("-")[1])


def _name(step: int, file: BufferedIOBase) -> str:
    return f"step-{step:09d}-{sha256(file)[:16]}.npz"
