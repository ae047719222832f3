"""A sweep on TPUs that are not there: what fits, and what it takes. It is compiled, not run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from effbench.config import recipes, variants
from effbench.config.recipes import Recipe
from effbench.config.run_spec import RunSpec, WeightsId
from effbench.config.variants import Variant
from effbench.data import datasets
from effbench.errors import UsageError
from effbench.hardware import machine, tpu_slices
from effbench.hardware.tpu_slices import Slice
from effbench.progress import Report, Step
from effbench.tpu_plan import compile_cache
from effbench.tpu_plan.compile_cache import CrashError
from effbench.tpu_plan.estimate import Estimate, estimate
from effbench.tpu_plan.messages import Compiled

# Batches among which the largest is looked for. They are multiples of 8, as a vector register has 8
# rows. Where 8 are no more than a sixteenth, steps are larger: a compilation can take minutes.
BATCHES = (*range(8, 128, 8), *range(128, 512, 32), *range(512, 65_536, 128))


@dataclass(frozen=True)
class PlanOptions:
    """A plan as the command line describes it.

    Attributes:
        tpus: comma-separated names of `tpu_slices.SLICES`, or "all".
        variants: comma-separated names, or "all".
        recipes: comma-separated names.
        data: name of a row of `datasets.DATASETS` whose counts of images are known.
        batch: images that a replica takes at once, or None for what the run takes.
        largest: whether to find the largest batch that fits, too.
    """

    tpus: str = "all"
    variants: str = "all"
    recipes: str = "case-study"
    data: str = "cifar10"
    batch: int | None = None
    largest: bool = False


@dataclass(frozen=True)
class PlannedRun:
    """One run on one slice.

    Attributes:
        spec: what the run is, on data that no plan reads.
        tpu: the slice.
        programs: the estimate of each program, that of the network first; programs after one that
            does not fit may be missing.
        problem: why there is no run, one line; "" if there is.
        largest: the largest of `BATCHES` that a replica can take at once where the network runs; 0
            if none of them fits, None if nobody asked or it could not be found.
    """

    spec: RunSpec
    tpu: Slice
    programs: tuple[Estimate, ...]
    problem: str
    largest: int | None = None

    @property
    def network(self) -> Estimate | None:
        """The program in which the network runs; None if there is none."""
        return self.programs[0] if self.programs else None

    @property
    def excess(self) -> int:
        """Bytes of HBM that are too much."""
        return max((program.excess for program in self.programs), default=0)

    @property
    def peak(self) -> int:
        """Bytes of HBM that the run takes at most, as far as is known."""
        return max((program.peak for program in self.programs), default=0)

    @property
    def seconds(self) -> float:
        """Seconds of the TPU's time for the whole run; 0 if it cannot run."""
        return (
            0.0
            if not all(program.fits for program in self.programs)
            else sum(program.total_seconds for program in self.programs)
        )


def make(options: PlanOptions, report: Report) -> list[PlannedRun]:
    """Plans every run, by recipe, slice and variant; what was compiled before is not repeated.

    Raises:
        EffbenchError: something is unknown, or nothing can be compiled or kept.
    """
    compile_cache.check()
    images, *_ = datasets.counts(options.data)
    pairs = [
        (recipes.get(name.strip()), tpu, variant)
        for name in options.recipes.split(",")
        for tpu in tpu_slices.select(options.tpus)
        for variant in variants.select(options.variants)
    ]
    for _, tpu, _ in pairs:
        _check_batch(options.batch, tpu, images)
    compile_cache.begin(
        pairs[0][1], lambda: report(Step("load the compiler", 0, len(pairs), "runs"))
    )
    rows = []
    for index, (recipe, tpu, variant) in enumerate(pairs):
        on = f"{variant.name} {tpu.name}"

        def working(what: str, note: str, index: int = index, on: str = on) -> None:
            report(Step(f"{on}: {what}", index, len(pairs), "runs", note))

        rows.append(_row(options, recipe, tpu, variant, working))
    return rows


def _check_batch(batch: int | None, tpu: Slice, images: int) -> None:
    if batch is not None and batch * tpu.replicas > images:
        raise UsageError(
            f"--batch-per-replica takes up to {images // tpu.replicas:,} on {tpu.name}",
            f"{batch:,} on each of {tpu.replicas} replicas",
            f"there are {images:,} training images",
        )


# Is told what is done now, and a note on it.
Working = Callable[[str, str], None]


def _row(
    options: PlanOptions, recipe: Recipe, tpu: Slice, variant: Variant, working: Working
) -> PlannedRun:
    spec = specify(variant, recipe, tpu, options.batch, options.data)
    try:
        estimates = _estimates(spec, options.batch, tpu, working)
    except CrashError as error:
        return PlannedRun(spec, tpu, (), f"tracing crashed: {error}")
    problems = (f"{program.name}: {program.problem}" for program in estimates if not program.fits)
    row = PlannedRun(spec, tpu, estimates, next(problems, ""))
    if not (options.largest or (row.excess and options.batch)):
        return row

    def measure(batch: int) -> tuple[int, bool]:
        bigger = specify(variant, recipe, tpu, batch, options.data)
        tried = _estimates(
            bigger, batch, tpu, lambda what, note: working(f"{what}, batch {batch}", note)
        )
        wrong = next(
            (program for program in tried if not program.fits and not program.excess), None
        )
        if wrong is not None:
            raise CrashError(f"batch {batch}: {wrong.problem}")
        return max(program.peak for program in tried), not any(program.excess for program in tried)

    try:
        return replace(row, largest=_search(row, measure))
    except CrashError as error:
        return replace(row, problem=row.problem or f"the largest batch is not known: {error}")


def _search(row: PlannedRun, measure: Callable[[int], tuple[int, bool]]) -> int:
    """The largest batch that fits; the search begins where the row's batch and memory point to."""
    first = row.network.images if row.network else BATCHES[0]
    if row.excess:
        first = int(first * row.tpu.hbm / row.peak)
    images, *_ = datasets.counts(row.spec.data)
    return largest(measure, images // row.tpu.replicas, row.tpu.hbm, first)


def specify(
    variant: Variant, recipe: Recipe, tpu: Slice, batch: int | None, data: str = "cifar10"
) -> RunSpec:
    """The run that `sweep --tpu` would do on a slice."""
    release = variant.release("auto")
    recipe = recipes.resolved(recipe.name, variant.name)
    usual = recipe.way.batch_per_replica
    if usual is not None:
        recipe = replace(recipe, batch_size=(batch or usual) * tpu.replicas)
    return RunSpec(
        variant=variant.name,
        weights=WeightsId(release.name, f"md5:{release.md5}", release.rescale),
        image_size=variant.image_size,
        recipe=recipe,
        data=data,
        data_sha256="",
        limit=None,
        seed=0,
        precision=machine.precision("auto", "tpu"),
        feature_cache=recipe.way.frozen_backbone,
        classes=len(datasets.classes(data, 10)),
    )


def _estimates(
    spec: RunSpec, batch: int | None, tpu: Slice, working: Working
) -> tuple[Estimate, ...]:
    """The estimate of each program, up to the first that does not fit."""
    estimates: list[Estimate] = []
    programs = compile_cache.lower(spec, batch, tpu.replicas, partial(working, "trace", ""))
    for number, lowered in enumerate(programs, 1):
        note = f"program {number} of {len(programs)}"
        tell = partial(working, f"compile {lowered.name}", note)
        turn = partial(working, f"compile a turn of {lowered.name}", note)
        try:
            whole = compile_cache.compile(lowered.program, tpu, tell)
            body = compile_cache.compile(lowered.body, tpu, turn) if lowered.body else None
        except CrashError as error:
            whole, body = Compiled(f"the compiler crashed: {error}", 0.0), None
        estimates.append(estimate(lowered, whole, body, tpu))
        if estimates[-1].excess:
            break
    return tuple(estimates)


def largest(measure: Callable[[int], tuple[int, bool]], most: int, room: int, first: int) -> int:
    """The largest of `BATCHES` that fits; 0 if there is none.

    Memory grows with the batch almost in a line, so a few compilations find it.

    Args:
        measure: says of a batch how many bytes it takes and whether they fit; if a batch does not
            fit, no larger one may.
        most: images that no batch exceeds.
        room: about how many bytes there are.
        first: the batch to begin with; if it is none of `BATCHES`, the next smaller one is taken.
    """
    low, high = -1, bisect_right(BATCHES, most)  # low fits, or is -1; high does not fit
    index = bisect_right(BATCHES, first) - 1
    points: dict[int, int] = {}
    while high - low > 1:
        index = min(max(index, low + 1), high - 1)
        points[BATCHES[index]], fits = measure(BATCHES[index])
        low, high = (index, high) if fits else (low, index)
        crossing = _crossing(points, room)
        # A program's memory may grow in steps; then halves find it where lines creep.
        if crossing is None or len(points) % 4 == 0:
            index = (low + high) // 2
        else:
            index = bisect_right(BATCHES, crossing) - 1
    return BATCHES[low] if low >= 0 else 0


def _crossing(points: Mapping[int, int], room: int) -> float | None:
    """The batch at which the line through the two points nearest to the room takes all of it.

    If there is only one point, the line also goes through zero. None for a level line.
    """
    near = sorted(points, key=lambda batch: abs(points[batch] - room))[:2]
    first, second = near[0], near[-1]
    if first == second:
        return first * room / max(1, points[first])
    rise = points[second] - points[first]
    return first + (room - points[first]) * (second - first) / rise if rise else None
