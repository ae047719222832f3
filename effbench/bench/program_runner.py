"""Runs the programs of a folder on this machine's device and times them: needs JAX and numpy alone.

    python -m effbench.bench.program_runner . --device gpu --peer timm

What it measures goes into `measured.json` in the folder, after every program.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from effbench.bench import program_files
from effbench.bench.program_files import ProgramFile
from effbench.engines import pjrt

MEASURED = "measured.json"


def main() -> None:
    """Compiles all programs beside one another, then times one after another, then their peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="gpu", choices=sorted(pjrt.PLATFORMS))
    parser.add_argument("--only", default="", help="a part of the names of those to run")
    parser.add_argument("--peer", default="", help="timm, which needs torch and timm")
    parser.add_argument("--ways", default="eager,graph,compiled", help="how torch runs them")
    parser.add_argument("--programs", default="yes", choices=("yes", "no"))
    parser.add_argument("--seconds", type=float, default=0.5, help="of each of five timings")
    parser.add_argument("--minutes", type=float, default=60.0, help="then nothing new is begun")
    parser.add_argument("--output", type=Path, help="default: measured.json in the folder")
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    effbench, programs = program_files.read_list(given.folder)
    programs = [program for program in programs if given.only in program.name]
    output = given.output or given.folder / MEASURED
    device = pjrt.devices(given.device)[0]
    about = {
        "effbench": effbench,
        "kind": given.device,
        "device": device.device_kind,
        "driver": pjrt.driver(device),
        "cores": os.cpu_count(),
    }
    rows: list[dict[str, object]] = []

    def keep(row: dict[str, object]) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)
        output.write_text(json.dumps({"about": about, "measured": rows}, indent=1), "utf-8")

    if given.programs == "yes":
        replicas = pjrt.Replicas((device,))
        began = time.monotonic()
        with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
            compiling = [
                pool.submit(_compiled, given.folder, program, replicas) for program in programs
            ]
            for program, waiting in zip(programs, compiling, strict=True):
                executable, seconds = waiting.result()
                if isinstance(executable, str):
                    keep(_row(program, "effbench") | {"problem": executable})
        about["seconds_to_compile_all"] = round(time.monotonic() - began, 1)
        print(about, flush=True)
        for program, waiting in zip(programs, compiling, strict=True):
            executable, seconds = waiting.result()
            if isinstance(executable, str) or time.monotonic() > end:
                continue
            found = _program(given.folder, program, executable, given.seconds)
            keep(_row(program, "effbench") | {"compile_seconds": round(seconds, 1)} | found)
    if given.peer:
        from effbench.bench import timm_peer

        about["peer"] = timm_peer.versions()
        for way in given.ways.split(","):
            for program in programs:
                if time.monotonic() < end:
                    keep(_row(program, f"timm, {way}") | _peer(program, way, given))


def _compiled(
    folder: Path, program: ProgramFile, replicas: pjrt.Replicas
) -> tuple[pjrt.Executable | str, float]:
    """The program, or why there is none, and the seconds it took beside the others."""
    began = time.monotonic()
    text = gzip.decompress((folder / f"{program.name}.mlir.gz").read_bytes()).decode()
    try:
        return pjrt.compiled(text, replicas), time.monotonic() - began
    except jax.errors.JaxRuntimeError as error:
        return _line(error), time.monotonic() - began


def _program(
    folder: Path, program: ProgramFile, executable: pjrt.Executable, seconds: float
) -> dict[str, object]:
    replicas = executable.replicas
    expected, arguments = [], _arguments(folder, program)
    if program.stored:
        *arguments, results = arguments
        expected = [results]
    inputs = [replicas.put(array) for array in arguments[: len(program.inputs)]]
    state = [replicas.put(array) for array in arguments[len(program.inputs) :]]

    def call() -> list[jax.Array]:
        results = executable([*inputs, *state])
        for position, value in zip(program.changed, results[program.outputs :], strict=True):
            state[position] = value
        return results

    try:
        first = [np.asarray(result) for result in call()[: program.outputs]]
        measured = _timed(call, jax.block_until_ready, seconds, program.batch)
    except jax.errors.JaxRuntimeError as error:
        return {"problem": _line(error)}
    measured["finite"] = bool(all(np.isfinite(result).all() for result in first))
    measured["working_memory"] = executable.working_memory
    if expected:
        difference = np.linalg.norm(first[0] - expected[0]) / np.linalg.norm(expected[0])
        measured["difference"] = float(difference)
    return measured


def _arguments(folder: Path, program: ProgramFile) -> list[np.ndarray]:
    """The arguments, and where they are stored the results."""
    if program.stored:
        with np.load(folder / f"{program.name}.npz") as arrays:
            return [arrays[name] for name in arrays.files]
    generator = np.random.default_rng(0)
    return [argument.drawn(generator) for argument in (*program.inputs, *program.state)]


def _peer(program: ProgramFile, way: str, given: argparse.Namespace) -> dict[str, object]:
    import torch

    from effbench.bench import timm_peer

    where = "cuda" if given.device == "gpu" else "cpu"
    if way == "graph" and (where == "cpu" or program.work == "step"):
        return {"problem": "a CUDA graph of it was not tried"}
    wait = torch.cuda.synchronize if where == "cuda" else lambda: None
    began = time.monotonic()
    try:
        make = {"features": timm_peer.features, "step": timm_peer.step}[program.work]
        if where == "cuda":
            torch.cuda.reset_peak_memory_stats()
        call = make(
            program.variant, program.image_size, program.batch, program.precision, way, where
        )
        call()
        wait()
        first = time.monotonic() - began
        measured = _timed(call, lambda _: wait(), given.seconds, program.batch)
        if where == "cuda":
            measured["memory"] = torch.cuda.max_memory_allocated()
        return measured | {"compile_seconds": round(first, 1)}
    except Exception as error:  # whatever a peer fails with, the others are measured
        return {"problem": _line(error)}
    finally:
        if where == "cuda":
            torch.cuda.empty_cache()


def _timed(
    call: Callable[[], object], wait: Callable[[object], object], seconds: float, batch: int
) -> dict[str, object]:
    """Images a second: the median of five timings after a warm-up, and their extremes."""
    for _ in range(3):
        wait(call())
    began = time.perf_counter()
    wait(call())
    calls = max(1, round(seconds / (time.perf_counter() - began)))
    speeds = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(calls - 1):
            call()
        wait(call())
        speeds.append(calls * batch / (time.perf_counter() - began))
    return {
        "images_per_second": round(statistics.median(speeds), 1),
        "slowest": round(min(speeds), 1),
        "fastest": round(max(speeds), 1),
        "calls": calls,
    }


def _row(program: ProgramFile, engine: str) -> dict[str, object]:
    names = ("name", "variant", "work", "image_size", "precision", "batch")
    return {name: getattr(program, name) for name in names} | {"engine": engine}


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300]


if __name__ == "__main__":
    main()
