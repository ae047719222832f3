"""Other tools that effbench is timed beside: which there are, and their processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import effbench
from effbench import subprocesses
from effbench.bench import others
from effbench.bench.comma_lists import listed, refuse_unknown
from effbench.hardware import tpu
from effbench.subprocesses import Child

EXTRA = "pip install 'effbench[peers]', or name an interpreter that has it with --peer-python"

# How torch runs a network.
WAYS = ("eager", "compiled")


@dataclass(frozen=True)
class Peer:
    """Another tool.

    Attributes:
        module: of its process.
        needs: packages.
        ways: how it can run a network; "" where there is one way.
        torch: whether its process may have another interpreter.
    """

    module: str
    needs: tuple[str, ...]
    ways: tuple[str, ...] = ("",)
    torch: bool = False


def chosen(names: str, ways: str, known: Mapping[str, Peer]) -> list[tuple[str, str]]:
    """The peers and ways of comma-separated lists; "" is none.

    Raises:
        UsageError: there is no such thing.
    """
    peers = [name for name in listed(names) if name]
    wanted = listed(ways)
    refuse_unknown("peer", peers, known)
    refuse_unknown("way of torch", wanted, WAYS)
    return [(name, way) for name in peers for way in known[name].ways if way in ("", *wanted)]


@dataclass
class TimedChild:
    """A process of `timed_calls`, as its parent sees it.

    Attributes:
        problem: why it ended, with what to do where something is not installed; or "".
    """

    process: Child
    problem: str = ""
    _elsewhere: list[float] = field(default_factory=list)

    @property
    def others(self) -> float:
        """Cores that other programs used during its turns, on average."""
        return fmean(self._elsewhere) if self._elsewhere else 0.0

    def begin(self, question: bytes) -> dict:
        """Makes a case ready: what is said of it, nothing where there is a problem."""
        self.process.tell(question)
        return self._heard()

    def turn(self, length: float) -> list[float]:
        """Seconds of each call of a turn; none once there is a problem."""
        if self.problem:
            return []
        with others.during(self.process.pid) as elsewhere:
            self.process.tell(str(length).encode())
            heard = self._heard()
        if self.problem:
            return []
        self._elsewhere.append(elsewhere.cores)
        calls: list[float] = heard["calls"]
        return calls

    def _heard(self) -> dict:
        line = self.process.hear()
        if line.endswith(b"\n"):
            words: dict = json.loads(line)
            problem = str(words.get("problem", ""))
        else:
            words, code = {}, self.process.wait()
            problem = subprocesses.ended(code, self.process.printed())
        if problem:
            words = {}
            self.problem = f"{problem}; {EXTRA}" if "No module named" in problem else problem
        return words


@contextmanager
def started(module: str, python: Path | None = None) -> Iterator[TimedChild]:
    """A process of a module, for as long as the block lasts; `python` is its interpreter."""
    environment = tpu.for_child("") | {"OMP_NUM_THREADS": str(os.cpu_count())}
    if python is not None:
        # That interpreter has effbench's files, and nothing else of ours.
        environment["PYTHONPATH"] = str(Path(effbench.__file__).parents[1])
    with subprocesses.start(module, environment, python=python) as process:
        yield TimedChild(process)
