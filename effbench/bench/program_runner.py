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
from pathlib import Path

import jax
import numpy as np

from effbench.bench import program_files
from effbench.bench.program_files import ProgramFile
from effbench.engines import pjrt

MEASURED = "measured.json"


def main() -> None:
    """Times one program after another, and beside each its peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="gpu", choices=sorted(pjrt.PLATFORMS))
    parser.add_argument("--only", default="", help="a part of the names of those to run")
    parser.add_argument("--peer", default="", choices=("", "timm"), help="needs torch and timm")
    parser.add_argument("--ways", default="eager,graph,compiled", help="how torch runs them")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each of five timings")
    parser.add_argument("--minutes", type=float, default=60.0, help="then no program is begun")
    parser.add_argument("--output", type=Path, help="default: measured.json in the folder")
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    effbench, programs = program_files.read_list(given.folder)
    device = pjrt.devices(given.device)[0]
    about = {
        "effbench": effbench,
        "kind": given.device,
        "device": device.device_kind,
        "driver": pjrt.driver(device),
        "cores": os.cpu_count(),
    }
    ways = given.ways.split(",") if given.peer else []
    if ways:
        from effbench.bench import timm_peer

        about["peer"] = timm_peer.versions()
    rows: list[dict[str, object]] = []

    def keep(program: ProgramFile, engine: str, figures: dict[str, object]) -> None:
        names = ("name", "variant", "work", "image_size", "precision", "batch")
        rows.append({name: getattr(program, name) for name in names} | {"engine": engine} | figures)
        print(json.dumps(rows[-1]), flush=True)
        text = json.dumps({"about": about, "measured": rows}, indent=1)
        (given.output or given.folder / MEASURED).write_text(text, "utf-8")

    for program in programs:
        if given.only in program.name and time.monotonic() < end:
            keep(program, "effbench", _program(given.folder, program, device, given.seconds))
            for way in ways:
                keep(program, f"timm, {way}", _peer(program, way, given.device, given.seconds))


def _program(
    folder: Path, program: ProgramFile, device: jax.Device, seconds: float
) -> dict[str, object]:
    text = gzip.decompress((folder / f"{program.name}.mlir.gz").read_bytes()).decode()
    replicas = pjrt.Replicas((device,))
    expected, arguments = [], _arguments(folder, program)
    if program.stored:
        *arguments, results = arguments
        expected = [results]
    inputs = [replicas.put(array) for array in arguments[: len(program.inputs)]]
    state = [replicas.put(array) for array in arguments[len(program.inputs) :]]
    began = time.monotonic()
    try:
        executable = pjrt.compiled(text, replicas)
        compile_seconds = time.monotonic() - began

        def call() -> list[jax.Array]:
            results = executable([*inputs, *state])
            for position, value in zip(program.changed, results[program.outputs :], strict=True):
                state[position] = value
            return results

        first = [np.asarray(result) for result in call()[: program.outputs]]
        measured = _timed(call, jax.block_until_ready, seconds, program.batch)
    except jax.errors.JaxRuntimeError as error:
        return {"problem": _line(error)}
    measured["compile_seconds"] = round(compile_seconds, 1)
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


def _peer(program: ProgramFile, way: str, kind: str, seconds: float) -> dict[str, object]:
    import torch

    from effbench.bench import timm_peer

    where = "cuda" if kind == "gpu" else "cpu"
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
        measured = _timed(call, lambda _: wait(), seconds, program.batch)
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


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300]


if __name__ == "__main__":
    main()
