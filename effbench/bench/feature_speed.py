"""Forward passes of backbones: effbench's engines beside other tools, by turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median

from effbench.bench import peers
from effbench.bench.comma_lists import listed, numbers, refuse_unknown
from effbench.bench.feature_case import FeatureCase
from effbench.bench.peers import Peer, TimedChild
from effbench.bench.timed_calls import question
from effbench.config.variants import select
from effbench.engines import engine_table
from effbench.errors import UsageError
from effbench.progress import Report, Step
from effbench.training.features.feature_cache import batch_size

ALL = "all"
# What a user may write of a precision.
PRECISIONS = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "mixed_bfloat16": "mixed_bfloat16",
}
_OURS = "effbench.bench.feature_worker"
_TORCH = "effbench.bench.torch_worker"

# torch has torchvision's networks, timm its own. The others run effbench's, converted.
PEERS: Mapping[str, Peer] = {
    "torch": Peer(_TORCH, ("torch", "torchvision", "timm"), peers.WAYS, torch=True),
    "timm": Peer(_TORCH, ("torch", "timm"), peers.WAYS, torch=True),
    "onnxruntime": Peer(_OURS, ("onnxruntime", "tf2onnx")),
    "openvino": Peer(_OURS, ("openvino",)),
}


@dataclass(frozen=True)
class FeatureOptions:
    """What to time; lists are comma-separated.

    Attributes:
        variants: names, as `variants.select` takes them.
        engines: names of engines, "all" for those that can run here, or "auto".
        peers: keys of `PEERS`; "" for none.
        precisions: keys of `PRECISIONS`.
        image_size: pixels, instead of each variant's native size.
        batch_sizes: images of a call; "" for what a sweep takes.
        device: kind of device; of peers, the CPU alone.
        seconds: of each turn.
        rounds: turns of each side.
        peer_python: the interpreter of torch's processes; None for ours.
        ways: how torch runs networks: "eager", "compiled", which takes minutes to begin, or both.
    """

    variants: str = "B0"
    engines: str = ALL
    peers: str = ""
    precisions: str = "float32"
    image_size: int | None = None
    batch_sizes: str = ""
    seconds: float = 2.0
    rounds: int = 5
    peer_python: Path | None = None
    ways: str = "eager,compiled"
    device: str = "cpu"


@dataclass(frozen=True)
class FeatureSpeed:
    """What came out for one side.

    Attributes:
        case: what was timed.
        problem: why nothing came out, or "".
        version: of what ran it.
        speeds: images a second, of each turn by the median of its calls.
        first: seconds until it had computed its first batch, compilation included.
        difference: as in `Prepared`.
        others: cores that other programs used meanwhile, on average.
    """

    case: FeatureCase
    problem: str = ""
    version: str = ""
    speeds: tuple[float, ...] = ()
    first: float = 0.0
    difference: float | None = None
    others: float = 0.0

    @property
    def absent(self) -> bool:
        """Whether what it needs is not installed."""
        return self.problem.endswith(peers.EXTRA)

    @property
    def speed(self) -> float:
        """Images a second: the median of its turns."""
        return median(self.speeds)


def best_of_ours(rows: Sequence[FeatureSpeed]) -> FeatureSpeed | None:
    """The fastest engine among sides of one network and precision."""
    able = [row for row in rows if row.case.ours and row.speeds]
    return max(able, key=lambda row: row.speed, default=None)


def ratios(ours: FeatureSpeed, other: FeatureSpeed) -> list[float]:
    """How many times as fast ours is, turn by turn: whatever else runs slows both of a round."""
    return [one / two for one, two in zip(ours.speeds, other.speeds, strict=True)]


def cases(options: FeatureOptions) -> list[list[FeatureCase]]:
    """All sides, those that are compared beside one another.

    Raises:
        UsageError: there is no such thing.
    """
    rows = select(options.variants)
    named = [engine for engine in listed(options.engines) if engine]
    if named == [ALL]:
        named = [
            name for name, row in engine_table.ENGINES.items() if row.lack(options.device) is None
        ]
    named = [engine_table.choose(name, options.device, frozen_backbone=True).name for name in named]
    beside = peers.chosen(options.peers, options.ways, PEERS)
    refuse_unknown("precision", _given(options), PRECISIONS)
    if not named and not beside:
        raise UsageError("bench features times engines or peers", "neither", "give --engine all")
    sides = [*((name, "", True) for name in dict.fromkeys(named))]
    sides += [(name, way, False) for name, way in beside]
    precisions = dict.fromkeys(PRECISIONS[name] for name in _given(options))
    return [
        [
            FeatureCase(row.name, size, batch, precision, *side, options.device)
            for batch in _batches(options, size)
            for side in sides
        ]
        for row, precision in product(rows, precisions)
        for size in (options.image_size or row.image_size,)
    ]


def _given(options: FeatureOptions) -> list[str]:
    return listed(options.precisions)


def _batches(options: FeatureOptions, size: int) -> list[int]:
    if not options.batch_sizes:
        return [batch_size(size, options.device)]
    return numbers("--batch-size", options.batch_sizes, 1, 2**16, "32,64")


def run(options: FeatureOptions, report: Report) -> list[FeatureSpeed]:
    """Times all sides; those of one network and precision by turns.

    Raises:
        UsageError: there is no such thing.
    """
    rows: list[FeatureSpeed] = []
    for together in cases(options):
        with ExitStack() as stack:
            sides = []
            for case in together:
                report(Step(f"{name(case)}: start, compile"))
                sides.append(stack.enter_context(_side(case, options.peer_python)))
            for number in range(options.rounds):
                report(Step(f"{case.variant}: turns", number, options.rounds, "rounds"))
                # There and back again, so that no side is always the first.
                for side in sides if number % 2 == 0 else reversed(sides):
                    side.turn(options.seconds)
            rows += [side.row() for side in sides]
    return rows


def name(case: FeatureCase) -> str:
    """Short, and different for the sides of one network."""
    tool = f"effbench, {case.tool}" if case.ours else f"{case.tool} {case.way}".strip()
    return f"{case.variant} at {case.image_size}, batch {case.batch}, {case.precision}, {tool}"


@dataclass
class FeatureSide:
    """A process that computes features of one case when it is told to."""

    process: TimedChild
    made: FeatureSpeed

    def begin(self) -> None:
        """Makes it ready."""
        self.made = replace(self.made, **self.process.begin(question(self.made.case)))

    def turn(self, seconds: float) -> None:
        """Computes for so long; nothing once there is a problem."""
        calls = self.process.turn(seconds)
        if calls:
            speed = self.made.case.batch / median(calls)
            self.made = replace(self.made, speeds=(*self.made.speeds, speed))

    def row(self) -> FeatureSpeed:
        """What came out."""
        if self.process.problem:
            return replace(self.made, problem=self.process.problem, speeds=())
        return replace(self.made, others=self.process.others)


@contextmanager
def _side(case: FeatureCase, peer_python: Path | None) -> Iterator[FeatureSide]:
    """A process for a case, for as long as the block lasts."""
    peer = None if case.ours else PEERS[case.tool]
    module = peer.module if peer else _OURS
    python = peer_python if peer and peer.torch else None
    with peers.started(module, python) as process:
        side = FeatureSide(process, FeatureSpeed(case))
        side.begin()
        yield side
