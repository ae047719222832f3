"""How long sweeps take on more workers than anyone here has: a simulation from measured times.

Runs take what their multiply-adds say, at the rates of the records in results/: those of a frozen
backbone, and those of networks that train as a whole. Workers take them as `sweep.groups` orders
them, and each takes `OVERHEAD` seconds to find its next one, which `measure` measures with no-ops.
Every worker dies now and then, and is back after a while; its run is open again once its lease has
ended, and begins anew, or at its last checkpoint.

`make scaling` writes the table of results/README.md: in a minute, or two of an idle machine more
with `ARGS=measure`, which prints how long the scheduler takes for each of 10,000 no-ops, and how
long `effbench status` and `effbench report` take for all of them.
"""

import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import simpy

sys.path.append(str(Path(__file__).parents[1]))

from support import no_ops
from support.options import sweep_options

from effbench.records.store import Store
from effbench.sweep import groups, queues, scheduler, worker_process
from effbench.sweep.groups import Group
from effbench.sweep.resolve import resolve

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "results/README.md"
# The table between its marks.
PRINTED = re.compile(r"(?P<head><!-- scaling -->\n)(?P<text>.*?)(?=<!-- end -->)", re.DOTALL)

WORKERS = (1, 8, 64, 512)
# Hours between two deaths of one worker; None for never.
DEATHS = (None, 24.0)
# Seconds that a worker takes to find its next run: more than was measured.
OVERHEAD = 0.05
LEASE_SECONDS = 60.0
BACK_SECONDS = 300.0
CHECKPOINT_SECONDS = 600.0
RECIPES = "case-study,finetune,finetune-adabelief,progressive"
# Two cores of a CPU are so much slower than what a sweep of whole networks runs on (`make plan`).
FASTER = 1000.0


@dataclass(frozen=True)
class Piece:
    """A group: seconds that it takes, and whether a checkpoint keeps what is done."""

    seconds: float
    saved: bool


@dataclass(frozen=True)
class Simulated:
    """What came of a simulation: seconds until all was done, the least there can be, deaths."""

    makespan: float
    bound: float
    deaths: int


def simulate(
    pieces: Sequence[Piece], workers: int, hours: float | None, seed: int = 0
) -> Simulated:
    """Simulates a sweep.

    Args:
        pieces: the groups, in the order in which they are taken.
        workers: how many.
        hours: between two deaths of one of them; None for never.
        seed: of the moments of death.
    """
    chance = random.Random(seed)
    world = simpy.Environment()
    left = simpy.PriorityStore(world)  # what is open again comes where it was
    left.items = [simpy.PriorityItem(*pair) for pair in enumerate(pieces)]
    done = world.event()
    finished = deaths = 0

    def back(number: int, piece: Piece) -> Iterator[simpy.Event]:
        yield world.timeout(LEASE_SECONDS)
        yield left.put(simpy.PriorityItem(number, piece))

    def worker() -> Iterator[simpy.Event]:
        nonlocal finished, deaths
        lives = chance.expovariate(1 / (3600 * hours)) if hours else float("inf")
        while True:
            item = yield left.get()
            number, piece = item.priority, item.item
            yield world.timeout(OVERHEAD)
            if lives > piece.seconds:
                yield world.timeout(piece.seconds)
                lives -= piece.seconds
                finished += 1
                if finished == len(pieces):
                    done.succeed()
                continue
            yield world.timeout(lives)
            deaths += 1
            kept = lives // CHECKPOINT_SECONDS * CHECKPOINT_SECONDS if piece.saved else 0.0
            world.process(back(number, Piece(piece.seconds - kept, piece.saved)))
            yield world.timeout(BACK_SECONDS)
            lives = chance.expovariate(1 / (3600 * hours))

    for _ in range(workers):
        world.process(worker())
    world.run(until=done)
    bound = max(sum(piece.seconds for piece in pieces) / workers, pieces[0].seconds)
    return Simulated(world.now, bound, deaths)


def rates() -> tuple[float, float]:
    """Seconds for each multiply-add of a frozen backbone and of a network, from the records."""
    frozen, whole = [], []
    for record in (
        *Store(ROOT / "results").load().results,
        *Store(ROOT / "results/network").load().results,
    ):
        seconds = record.seconds
        made, spec = record.provenance, record.spec
        if not spec.recipe.way.frozen_backbone:
            work = groups.work(
                spec.variant, spec.image_size, record.images.train, len(record.history)
            )
            whole.append(seconds.train / work)
        elif made.features_computed:
            work = groups.work(spec.variant, spec.image_size, made.features_computed, 0)
            frozen.append(seconds.features / work)
    return sum(frozen) / len(frozen), sum(whole) / len(whole)


def sweep_of(runs: int) -> tuple[int, list[Piece]]:
    """How many runs, and the groups of a sweep of nine variants and four recipes."""
    frozen, whole = rates()
    seeds = max(1, round(runs / 36))
    options = sweep_options(
        variants="v2", weights="none", data="digits", device="cpu", recipe=RECIPES,
        seeds=f"0-{seeds - 1}",
    )  # fmt: skip
    request = resolve(options)

    def piece(group: Group) -> Piece:
        rate = (frozen if group.features else whole) / FASTER
        return Piece(group.work * rate, group.specs[0].recipe.way.saves_progress)

    return len(request.specs), [piece(group) for group in groups.ordered(groups.of(request.specs))]


def table() -> str:
    """The simulations as Markdown."""
    lines = [
        "| runs | workers | deaths | hours | the least there can be | more than that |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for wanted in (180, 10_000):
        count, pieces = sweep_of(wanted)
        pieces.sort(key=lambda piece: -piece.seconds)
        for workers in WORKERS:
            for hours in DEATHS:
                came = simulate(pieces, workers, hours)
                lines.append(
                    f"| {count:,} | {workers} | {came.deaths:,} | {came.makespan / 3600:,.2f} | "
                    f"{came.bound / 3600:,.2f} | {came.makespan / came.bound - 1:.1%} |"
                )
    return "\n".join(lines) + "\n"


def write() -> None:
    """Simulates, and writes the table into the page."""
    text = table()
    print(text)
    page = PRINTED.sub(lambda block: block["head"] + text, PAGE.read_text("utf-8"))
    PAGE.write_text(page, "utf-8")


def measure(runs: int = 10_000) -> None:
    """Prints what the scheduler takes for each no-op, and `status` and `report` for all of them."""
    seconds = 0.0
    work = no_ops.work

    def timed(*arguments: object) -> object:
        nonlocal seconds
        began = time.perf_counter()
        problem = work(*arguments)
        seconds += time.perf_counter() - began
        return problem

    worker_process.work = timed
    request = no_ops.request(
        variants="v2",
        recipe="finetune-adabelief",
        settings=("dropout=0.1,0.2",),
        seeds=f"0-{runs // 18 - 1}",
    )
    with tempfile.TemporaryDirectory(prefix="effbench-scaling-") as folder:
        store = Store(Path(folder))
        queues.write(store, request)
        began = time.perf_counter()
        scheduler.take(store, lambda _: None)
        whole = time.perf_counter() - began
        count = len(request.specs)
        each, worker = 1000 * (whole - seconds) / count, 1000 * seconds / count
        print(
            f"{count:,} no-ops: {each:.1f} ms each of the scheduler, {worker:.1f} ms of the no-op"
        )
        for command in ("status", "report"):
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            run = [sys.executable, "-m", "effbench.cli.main", command, "--results", folder]
            subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
            wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{command}: {wall:.1f} s, of which {cpu:.1f} s of a core")


if __name__ == "__main__":
    measure(*map(int, sys.argv[2:3])) if sys.argv[1:2] == ["measure"] else write()
