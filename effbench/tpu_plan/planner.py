"""A sweep on TPUs that are not there: what fits, and what it takes. It is compiled, not run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from effbench.config.run_spec import RunSpec
from effbench.data.outline import Outline
from effbench.hardware.tpu_slices import Slice
from effbench.progress import Report, Step
from effbench.tpu_plan import compile_cache, plan_request
from effbench.tpu_plan.compile_cache import CrashError
from effbench.tpu_plan.estimate import ProgramEstimate, estimate
from effbench.tpu_plan.messages import Compiled
from effbench.tpu_plan.plan_request import PlanCase, PlanOptions

# Batches among which the largest is looked for. They are multiples of 8, as a vector register has 8
# rows. Where 8 are no more than a sixteenth, steps are larger: a compilation can take minutes.
BATCHES = (*range(8, 128, 8), *range(128, 512, 32), *range(512, 65_536, 128))


@dataclass(frozen=True)
class PlannedRun:
    """One run on one slice.

    Attributes:
        spec: what the run is, on data that no plan reads.
        tpu: the slice.
        data: how many images of what kind it is on.
        programs: the estimate of each program, that of the network first; programs after one that
            does not fit may be missing.
        problem: why there is no run, one line; "" if there is.
        largest: the largest of `BATCHES` that a replica can take at once where the network runs; 0
            if none of them fits, None if nobody asked or it could not be found.
    """

    spec: RunSpec
    tpu: Slice
    data: Outline
    programs: tuple[ProgramEstimate, ...]
    problem: str
    largest: int | None = None

    @property
    def network(self) -> ProgramEstimate | None:
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
    def images_per_second(self) -> float:
        """Images that the whole slice's network takes in a second; 0 if it cannot run."""
        network = self.network
        if network is None or not network.seconds:
            return 0.0
        return network.images * self.tpu.replicas / network.seconds

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
    cases = plan_request.cases(options)
    compile_cache.begin(
        cases[0].tpu, lambda: report(Step("load the compiler", 0, len(cases), "runs"))
    )
    rows = []
    for index, case in enumerate(cases):
        on = f"{case.variant.name} {case.tpu.name}"

        def working(what: str, note: str, index: int = index, on: str = on) -> None:
            report(Step(f"{on}: {what}", index, len(cases), "runs", note))

        rows.append(_row(case, options, working))
    return rows


# Is told what is done now, and a note on it.
Working = Callable[[str, str], None]


def _row(case: PlanCase, options: PlanOptions, working: Working) -> PlannedRun:
    spec = case.spec(options.batch)
    try:
        estimates = _estimates(case, options.batch, working)
    except CrashError as error:
        return PlannedRun(spec, case.tpu, case.data, (), f"tracing crashed: {error}")
    problems = (f"{program.name}: {program.problem}" for program in estimates if not program.fits)
    row = PlannedRun(spec, case.tpu, case.data, estimates, next(problems, ""))
    if not (options.largest or (row.excess and options.batch)):
        return row

    def measure(batch: int) -> tuple[int, bool]:
        tried = _estimates(case, batch, lambda what, note: working(f"{what}, batch {batch}", note))
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


def _search(row: PlannedRun, measure: Callable[[int], tuple[int, bool]]) -> int | None:
    """The largest batch that fits; the search begins where the row's batch and memory point to."""
    most = row.data.counts[0] // row.tpu.replicas
    if most < BATCHES[0]:
        return None
    first = row.network.images if row.network else BATCHES[0]
    if row.excess:
        first = int(first * row.tpu.hbm / row.peak)
    return largest(measure, most, row.tpu.hbm, first)


def _estimates(case: PlanCase, batch: int | None, working: Working) -> tuple[ProgramEstimate, ...]:
    """The estimate of each program, up to the first that does not fit."""
    estimates: list[ProgramEstimate] = []
    tpu = case.tpu
    programs = compile_cache.lower(
        case.spec(batch), case.data, batch, tpu.replicas, partial(working, "trace", "")
    )
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
