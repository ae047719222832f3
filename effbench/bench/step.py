"""Training steps and inference of networks, beside plain `fit` and other tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path
from statistics import median

from effbench import subprocesses
from effbench.bench import others, step_peers
from effbench.bench.comma_lists import listed, numbers, refuse_unknown
from effbench.bench.peers import WAYS, chosen
from effbench.bench.step_messages import CASE, REPLY, Case, Pace, Reply, pace
from effbench.bench.step_peers import PEERS, PeerSteps
from effbench.config import recipes, schedule
from effbench.config.recipe_numbers import Recipe
from effbench.config.variants import select
from effbench.errors import UsageError
from effbench.hardware import tpu
from effbench.progress import Report, Step
from effbench.subprocesses import Child

PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class StepOptions:
    """What to time: every combination of these; lists are comma-separated.

    Attributes:
        variants: names, as `variants.select` takes them.
        image_sizes: pixels.
        batch_sizes: images of a training step.
        precisions: names from `PRECISIONS`.
        recipes: names of recipes that train whole networks.
        augmentation: with what the recipes say of it, without any, or first one and then the other.
        steps: how many steps of each turn count.
        rounds: how many turns each process takes.
        peers: keys of `step_peers.PEERS`; "" for none.
        ways: how torch runs networks: "eager", "compiled", which takes minutes to begin, or both.
        peer_python: the interpreter of torch's processes; None for ours.
    """

    variants: str = "B0"
    image_sizes: str = "96,160,224"
    batch_sizes: str = "32"
    precisions: str = "float32"
    recipes: str = "finetune"
    augmentation: tuple[bool, ...] = (False, True)
    steps: int = 5
    rounds: int = 4
    peers: str = ""
    ways: str = ",".join(WAYS)
    peer_python: Path | None = None


@dataclass(frozen=True)
class TimedCase:
    """What came out for one recipe.

    Attributes:
        case: the case that was timed.
        augmented: whether its recipe augments.
        problem: why nothing came out, or not all; or "".
        compile: seconds of the first training step less those of the second.
        train: training steps.
        inference: passes over the images that validation takes at once.
        memory: most bytes that the process held.
        fit: training steps of `fit`.
        fit_memory: most bytes that the process of `fit` held.
        others: cores that other programs used meanwhile, on average.
        peers: training steps of other tools beside it.
    """

    case: Case
    augmented: bool
    problem: str = ""
    compile: float | None = None
    train: Pace | None = None
    inference: Pace | None = None
    memory: int | None = None
    fit: Pace | None = None
    fit_memory: int | None = None
    others: float | None = None
    peers: tuple[PeerSteps, ...] = ()

    @property
    def ratio(self) -> float | None:
        """How many times as fast as `fit`, by the medians."""
        return self.fit.median / self.train.median if self.fit and self.train else None

    @property
    def best_ratio(self) -> float | None:
        """The same ratio by the fastest steps, which other programs disturb least."""
        return self.fit.best / self.train.best if self.fit and self.train else None


def cases(options: StepOptions) -> list[Case]:
    """All combinations, those with the same network and batch beside one another.

    Raises:
        UsageError: there is no such thing.
    """
    rows = select(options.variants)
    sizes = numbers("--image-size", options.image_sizes, schedule.SMALLEST, 2048, "96,224")
    batches = numbers("--batch-size", options.batch_sizes, 1, 2**16, "32,64")
    precisions = listed(options.precisions)
    refuse_unknown("precision", precisions, PRECISIONS)
    planned = []
    for row, size, batch, precision in product(rows, sizes, batches, precisions):
        for recipe_name in listed(options.recipes):
            recipe = replace(recipes.resolved(recipe_name, row.name), batch_size=batch)
            if recipe.way.frozen_backbone:
                raise UsageError(
                    "bench step times recipes that train a whole network",
                    recipe_name,
                    "see effbench bench probe and bench heads for those that train a head",
                )
            schedule.split(recipe, size)
            by_augmentation = {
                augmented: recipe if augmented else plain(recipe) for augmented in (False, True)
            }
            planned += [
                Case(row.name, size, batch, precision, timed)
                for timed in dict.fromkeys(
                    by_augmentation[augmented] for augmented in options.augmentation
                )
            ]
    return list(dict.fromkeys(planned))


def plain(recipe: Recipe) -> Recipe:
    """A recipe without augmentation."""
    return replace(
        recipe,
        flip=False,
        crop=0,
        cutout=0.0,
        randaugment=0.0,
        first_randaugment=0.0,
        mixup=0.0,
        first_mixup=0.0,
        cutmix=0.0,
    )


def run(options: StepOptions, report: Report) -> list[TimedCase]:
    """Times all cases; those that share a network and a batch, and their `fit`, by turns.

    Raises:
        UsageError: there is no such case.
    """
    rows: list[TimedCase] = []
    planned = cases(options)
    beside = chosen(options.peers, options.ways, PEERS)
    for network, group in groupby(planned, key=lambda case: replace(case, recipe=None)):
        rows += _group(network, tuple(group), beside, options, report)
    return rows


def _group(
    network: Case,
    group: tuple[Case, ...],
    beside: Sequence[tuple[str, str]],
    options: StepOptions,
    report: Report,
) -> list[TimedCase]:
    with ExitStack() as stack:
        sides, peers = [], []
        for case in (network, *group):
            report(Step(f"{name(case)}: start, compile"))
            sides.append(stack.enter_context(side_of(case)))
        for tool, way in beside:
            report(Step(f"{name(network, tool)} {way}: start, compile"))
            peer = step_peers.side_of(tool, way, network, options.peer_python)
            peers.append(stack.enter_context(peer))
        turns: list[Side | step_peers.PeerSide] = [*sides, *peers]
        for number in range(options.rounds):
            report(Step(f"{name(network)}: turns", number, options.rounds, "rounds"))
            # There and back again, so that no side is always the first.
            for side in turns if number % 2 == 0 else reversed(turns):
                side.turn(options.steps)
    fit, *others = sides
    return [
        replace(_row(side, fit), peers=tuple(peer.beside(side.medians) for peer in peers))
        for side in others
    ]


class Side:
    """A process that takes steps of one case when it is told to."""

    def __init__(self, case: Case, process: Child) -> None:
        self.case = case
        self.problem = ""
        self.train: list[float] = []
        # Seconds of a training step, turn by turn.
        self.medians: list[float] = []
        self.inference: list[float] = []
        self.first = Reply()
        self._last = Reply()
        self._process = process
        self._elsewhere: list[float] = []
        self._tell(CASE.dump_json(case))
        self.first = self._hear()

    @property
    def memory(self) -> int:
        """The most bytes that the process held."""
        return self._last.memory

    @property
    def images(self) -> int:
        """How many images a pass of inference takes."""
        return self._last.images

    @property
    def others(self) -> float:
        """Cores that other programs used during its turns, on average."""
        return sum(self._elsewhere) / len(self._elsewhere)

    def turn(self, steps: int) -> None:
        """Takes so many steps that count; nothing once there is a problem."""
        if self.problem:
            return
        with others.during(self._process.pid) as elsewhere:
            self._tell(str(steps).encode())
            reply = self._hear()
        if self.problem:
            return
        self._elsewhere.append(elsewhere.cores)
        self.train += reply.train[1:]
        self.medians.append(median(reply.train[1:]))
        self.inference += reply.inference[1:]

    def _tell(self, line: bytes) -> None:
        self._process.tell(line)

    def _hear(self) -> Reply:
        line = self._process.hear()
        if line.endswith(b"\n"):
            self._last = REPLY.validate_json(line)
            self.problem = self._last.problem
        else:
            code = self._process.wait()
            self.problem = subprocesses.ended(code, self._process.printed())
        return self._last


@contextmanager
def side_of(case: Case) -> Iterator[Side]:
    """A process that takes steps of a case, for as long as the block lasts."""
    with subprocesses.start("effbench.bench.step_worker", tpu.for_child("")) as process:
        yield Side(case, process)


def _row(side: Side, fit: Side) -> TimedCase:
    problems = [side.problem, f"plain fit {fit.problem}" if fit.problem else ""]
    row = TimedCase(side.case, _augmented(side.case), "; ".join(filter(None, problems)))
    if side.problem:
        return row
    first, second = side.first.train[:2]
    row = replace(
        row,
        compile=max(0.0, first - second),
        train=pace(side.train, side.case.batch_size),
        inference=pace(side.inference, side.images),
        memory=side.memory,
        others=side.others,
    )
    if fit.problem:
        return row
    return replace(
        row,
        fit=pace(fit.train, side.case.batch_size),
        fit_memory=fit.memory,
        others=(side.others + fit.others) / 2,
    )


def _augmented(case: Case) -> bool:
    return case.recipe is not None and plain(case.recipe) != case.recipe


def name(case: Case, otherwise: str = "plain fit") -> str:
    """Short, and different for the cases of one network and batch; `otherwise` is no recipe."""
    recipe = case.recipe.name if case.recipe else otherwise
    suffix = " augmented" if _augmented(case) else ""
    return f"{case.variant} at {case.image_size}, batch {case.batch_size}, {recipe}{suffix}"
