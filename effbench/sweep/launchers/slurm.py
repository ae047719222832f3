"""Runs in the queue of a SLURM cluster: an array job, each element of which does one group."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from effbench.config.sweep_options import LaunchOptions
from effbench.errors import EffbenchError, UsageError
from effbench.files import write_atomically
from effbench.records.store import Store
from effbench.sweep import progress_files, queues, scheduler
from effbench.sweep.events import Event
from effbench.sweep.groups import Group
from effbench.sweep.launchers import slurm_task
from effbench.sweep.launchers.launcher import Launch
from effbench.sweep.queues import Queue
from effbench.sweep.scheduler import Counting, SweepCounts

_EXAMPLE = "--slurm partition=gpu,time=4:00:00,gres=gpu:1"
# Before a job's time is up, it has so long to save a checkpoint.
_SAVE_SECONDS = 120
# SLURM's own default.
_USUAL_ARRAY = 1001
# The time between two looks at the jobs.
LOOK_SECONDS = 5.0
# A job that has ended may be listed, and its files seen, a little later.
_GRACE_SECONDS = 30.0


def check(options: LaunchOptions) -> None:
    """Makes sure that submitit and a SLURM are there, and that the partition is.

    Raises:
        UsageError: something is missing or unknown.
    """
    if find_spec("submitit") is None:
        raise UsageError(
            "--launcher slurm needs submitit",
            "it is not installed",
            "pip install 'effbench[slurm]'",
        )
    if shutil.which("sbatch") is None or shutil.which("squeue") is None:
        raise UsageError(
            "--launcher slurm submits by SLURM's own commands",
            "no sbatch and squeue on the path",
            "start it on a node of the cluster from which jobs are submitted",
        )
    wanted = settings(options.slurm)
    partitions = _ask("sinfo", "--noheader", "--format=%R").split()
    name = wanted.get("partition")
    if name is not None and not set(str(name).split(",")) <= set(partitions):
        rule, known = "no such partition", ", ".join(dict.fromkeys(partitions))
        raise UsageError(rule, str(name), f"choose from {known}")


def settings(text: str | None) -> dict[str, str | int]:
    """What `sbatch` is asked for, by name; the time in minutes.

    Raises:
        UsageError: it is no list of names and values, or has no time.
    """
    parts = [part.partition("=") for part in re.split(r",(?=[\w-]+=)", text or "") if part]
    if not all(name and value for name, _, value in parts):
        raise UsageError("--slurm takes names with values", text or "", f"write e.g. {_EXAMPLE}")
    wanted: dict[str, str | int] = {
        name.strip().replace("-", "_"): value.strip() for name, _, value in parts
    }
    if "time" not in wanted:
        raise UsageError(
            "--slurm needs the longest time of a run", text or "none", f"write e.g. {_EXAMPLE}"
        )
    wanted["time"] = minutes(str(wanted["time"]))
    return wanted


def minutes(text: str) -> int:
    """A time as SLURM writes it, "90", "90:00", "1:30:00", "2-12" or "2-12:00:00", in minutes.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not match:
        raise UsageError("not a time of SLURM", text, "write minutes, or hours:minutes:seconds")
    days, first, second, third = (int(part) if part else None for part in match.groups())
    if days is not None:  # days-hours:minutes:seconds
        total = days * 1440 + (first or 0) * 60 + (second or 0) + (1 if third else 0)
    elif third is not None:
        total = (first or 0) * 60 + (second or 0) + (1 if third else 0)
    else:
        total = (first or 0) + (1 if second else 0)
    if not total:
        raise UsageError("a time of SLURM is at least a minute", text, f"write e.g. {_EXAMPLE}")
    return total


def start(launch: Launch) -> SweepCounts | None:
    """Submits the runs that are not done, and waits for them if asked to.

    Raises:
        EffbenchError: SLURM refuses them, or ended jobs without a word of their runs.
    """
    store = Store(launch.store.directory.resolve())
    queue = queues.write(store, launch.request)
    heard = Counting(launch.listen)
    states = scheduler.states(launch.request, store)
    for group in queue.groups:
        if "run" not in {states[spec.key] for spec in group.specs}:
            scheduler.settle(queue, store, group, heard, wait=False)
    left = queue.open()
    if not left:
        queue.close()
        return heard.counts
    jobs = _submit(store, queue, len(left), settings(launch.options.slurm))
    listed = ", ".join(jobs)
    launch.say(f"SLURM has {len(left):,} groups of runs as job{'s' * (len(jobs) > 1)} {listed}")
    if not launch.options.wait:
        launch.say(f"see: effbench status --watch --results {launch.store.directory}")
        return None
    _watch(store, queue, jobs, heard)
    return heard.counts


def _submit(store: Store, queue: Queue, count: int, wanted: dict[str, str | int]) -> list[str]:
    """Submits `count` elements, in as many arrays as SLURM needs; the ids of the jobs."""
    import submitit

    home = store.directory / ".slurm"
    token = home / f"token-{uuid.uuid4().hex}"
    write_atomically(token, b"")
    known = {"partition", "time", "gres", "account", "qos", "mem", "cpus_per_task", "constraint"}
    executor = submitit.SlurmExecutor(folder=home / "%j")
    executor.update_parameters(
        **{name: value for name, value in wanted.items() if name in known},
        additional_parameters={
            **{name: value for name, value in wanted.items() if name not in known},
            "requeue": True,
        },
        job_name="effbench",
        setup=["export PYTHONSAFEPATH=1"],  # nothing in the working directory is a library
        signal_delay_s=_SAVE_SECONDS,
        stderr_to_stdout=True,
    )
    most = _largest_array()
    jobs = []
    for begin in range(0, count, most):
        arguments = (str(store.directory), str(queue.folder), str(token))
        size = min(most, count - begin)
        executor.update_parameters(array_parallelism=size)
        try:
            submitted = executor.map_array(slurm_task.run, *([part] * size for part in arguments))
        except Exception as error:  # submitit's own, with what sbatch said
            said = f"{error.__cause__ or error}".strip().splitlines()[-1]
            raise EffbenchError("SLURM refuses the job", said, "change --slurm") from error
        jobs.append(submitted[0].job_id.partition("_")[0])
    return jobs


def _largest_array() -> int:
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"))
    return max(1, int(match[1]) - 1 if match else _USUAL_ARRAY - 1)


def _watch(store: Store, queue: Queue, jobs: Sequence[str], listen: Counting) -> None:
    """Tells of what the jobs do, until none is left."""
    settled: set[str] = set()
    started: set[str] = set()
    ended = 0.0
    while True:
        running = bool(_ask("squeue", "--noheader", f"--jobs={','.join(jobs)}", "--format=%T"))
        tried = queue.tried()
        at_work = {seen.running.group: seen.running for seen in progress_files.read(store)}
        for group in queue.groups:
            if group.name in tried:
                if group.name not in settled:
                    settled.add(group.name)
                    _tell(store, group, listen)
            elif group.name in at_work:
                if group.name not in started:
                    started.add(group.name)
                    listen(Event(group.specs, "started", text=at_work[group.name].share))
                listen(Event(group.specs, "working", at_work[group.name].step))
        if len(settled) == len(queue.groups):
            break
        if not running:
            ended = ended or time.monotonic()
            if time.monotonic() - ended > _GRACE_SECONDS:
                raise EffbenchError(
                    "jobs ended before their runs did",
                    f"{len(queue.groups) - len(settled)} groups are open",
                    f"look at {store.directory / '.slurm'}, and run it again",
                )
        else:
            ended = 0.0
        time.sleep(LOOK_SECONDS)
    queue.close()


def _tell(store: Store, group: Group, listen: Counting) -> None:
    for spec in group.specs:
        if store.finished(spec.key):
            listen(Event((spec,), "saved"))
        else:
            failure = store.failure(spec.key)
            listen(Event((spec,), "failed", text=failure.message if failure else ""))


def _ask(*command: str) -> str:
    """What one of SLURM's commands prints.

    Raises:
        EffbenchError: nobody answers.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "Invalid job id" not in done.stderr:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise EffbenchError(f"{Path(command[0]).name} gets no answer", said[0], "is SLURM up?")
    return done.stdout.strip()
