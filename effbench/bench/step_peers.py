"""Training steps of other tools, by turns with ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from effbench.bench import peers
from effbench.bench.peers import Peer, TimedChild
from effbench.bench.step_messages import Case, Pace, pace
from effbench.bench.timed_calls import question
from effbench.bench.torch_step_worker import TorchStep

PEERS: Mapping[str, Peer] = {
    "timm": Peer("effbench.bench.torch_step_worker", ("torch", "timm"), peers.WAYS, torch=True),
}


@dataclass(frozen=True)
class PeerSteps:
    """What came out for a peer, beside one recipe of ours.

    Attributes:
        tool: a key of `PEERS`.
        way: how it runs the network.
        problem: why nothing came out, or "".
        version: of what did the work.
        train: its training steps.
        ratios: how many times as fast ours were, by the medians of each round: whatever else runs
            slows both.
        others: cores that other programs used meanwhile, on average.
    """

    tool: str
    way: str
    problem: str = ""
    version: str = ""
    train: Pace | None = None
    ratios: tuple[float, ...] = ()
    others: float = 0.0

    @property
    def name(self) -> str:
        """The tool and its way."""
        return f"{self.tool} {self.way}".strip()

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return median(self.ratios) if self.ratios else None


class PeerSide:
    """A process of a peer that takes steps when it is told to."""

    def __init__(self, tool: str, way: str, case: Case, process: TimedChild) -> None:
        self._tool, self._way = tool, way
        self._batch_size = case.batch_size
        self._process = process
        self._turns: list[list[float]] = []
        asked = TorchStep(case.variant, case.image_size, case.batch_size, case.precision, way)
        self._version = str(process.begin(question(asked)).get("version", ""))

    def turn(self, steps: int) -> None:
        """Takes so many steps that count; nothing once there is a problem."""
        calls = self._process.turn(steps)
        if calls:
            self._turns.append(calls)

    def beside(self, rounds: Sequence[float]) -> PeerSteps:
        """What came out, beside a side of ours: the median seconds of its steps by round."""
        process = self._process
        if process.problem:
            return PeerSteps(self._tool, self._way, process.problem)
        pairs = zip(self._turns, rounds, strict=False)  # ours may have ended before
        return PeerSteps(
            self._tool,
            self._way,
            version=self._version,
            train=pace([seconds for turn in self._turns for seconds in turn], self._batch_size),
            ratios=tuple(median(turn) / ours for turn, ours in pairs),
            others=process.others,
        )


@contextmanager
def side_of(tool: str, way: str, case: Case, python: Path | None) -> Iterator[PeerSide]:
    """A process of a peer for the network of a case, for as long as the block lasts."""
    peer = PEERS[tool]
    with peers.started(peer.module, python if peer.torch else None) as process:
        yield PeerSide(tool, way, case, process)
