"""Kills workers at random, round after round: no run is lost, none is written twice.

python tests/support/kill_workers.py [minutes] [workers]

The runs are no-ops. As root, each worker has a host name of its own, so that it cannot see that the
process of another one is gone, and has to wait for its lease to end.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from support import no_ops

from effbench import leases
from effbench.records.store import Store
from effbench.sweep import progress_files, queues
from effbench.sweep.resolve import Request

LEASE_SECONDS = 3.0
RUN_SECONDS = 0.2
# The mean time that a worker lives, a second or two of which it takes to start.
LIFE_SECONDS = 20.0
# The longest that a round may take to end once nobody is killed any more.
PATIENCE = 120.0


def request() -> Request:
    """A round: 9 variants, each with 12 learning rates."""
    rates = ",".join(f"{0.01 * (1 + number):g}" for number in range(12))
    return no_ops.request(variants="all", settings=(f"maximal_learning_rate={rates}",))


def start(results: Path, number: int, apart: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, no_ops.__file__, "work", "--quiet", "--results", str(results)]
    if apart:
        script = f'hostname host-{number} && exec "$@"'
        command = ["unshare", "--uts", "sh", "-c", script, "sh", *command]
    environment = {
        **os.environ,
        no_ops.SECONDS: str(RUN_SECONDS),
        leases.SECONDS: str(LEASE_SECONDS),
    }
    return subprocess.Popen(command, env=environment, start_new_session=True)


def one_round(results: Path, workers: int, until: float, apart: bool) -> tuple[int, int, int]:
    """Runs, kills and takeovers of a round.

    Raises:
        AssertionError: a run was lost, written twice, or a lease was left.
    """
    store = Store(results)
    wanted = request()
    queues.write(store, wanted)
    started = iter(range(10**9))
    alive = [start(results, next(started), apart) for _ in range(workers)]
    kills = taken_over = 0
    while time.monotonic() < until and queues.read(store):
        time.sleep(random.expovariate(workers / LIFE_SECONDS))
        victim = random.choice(alive)
        held = {seen.running.process for seen in progress_files.read(store)}
        if victim.poll() is None:
            taken_over += victim.pid in held
            os.killpg(victim.pid, signal.SIGKILL)
            victim.wait()
            kills += 1
        alive.remove(victim)
        if queues.read(store):
            alive.append(start(results, next(started), apart))
    for worker in alive:
        worker.wait(PATIENCE)
    if queues.read(store):  # all were killed in the end
        start(results, next(started), apart).wait(PATIENCE)
    records = store.load()
    assert {record.spec.key for record in records.results} == {spec.key for spec in wanted.specs}
    assert not records.failures
    assert not records.problems
    twice = [key for key, count in Counter(_writes(results)).items() if count > 1]
    assert not twice, twice
    assert not queues.read(store)
    assert not progress_files.read(store)
    return len(wanted.specs), kills, taken_over


def _writes(results: Path) -> list[str]:
    return (results / ".writes").read_text().split()


def main(minutes: float = 5.0, workers: int = 8) -> None:
    os.environ[leases.SECONDS] = str(LEASE_SECONDS)
    apart = os.geteuid() == 0
    until = time.monotonic() + 60 * minutes
    totals = [0, 0, 0]
    rounds = 0
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory(prefix="effbench-kill-") as folder:
            for index, value in enumerate(one_round(Path(folder), workers, until, apart)):
                totals[index] += value
        rounds += 1
        runs, kills, taken_over = totals
        print(
            f"{rounds} rounds, {workers} workers on {'hosts of their own' if apart else 'one host'}"
            f": {runs:,} runs, {kills} kills, {taken_over} of them in a run; none lost, none twice",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:3]))
