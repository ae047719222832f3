"""The compiler's processes and their earlier answers: nothing is traced or compiled twice.

Under the cache directory, `plan/programs` holds programs, named by their own hash. `plan/lowered`
holds which programs a run consists of, named by a hash of everything they depend on, effbench's own
source included. `plan/compiled` holds what the compiler said, named by program, slice, and version
of the compiler.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

import effbench
from effbench import cache, provenance, subprocesses
from effbench.config.run_spec import RunSpec, digest
from effbench.data.outline import Outline
from effbench.errors import EffbenchError, one_line
from effbench.files import write_atomically, writing
from effbench.hardware import tpu
from effbench.hardware.tpu_slices import Slice
from effbench.tpu_plan.messages import (
    COMPILE_REQUEST,
    COMPILED,
    LOWER_REQUEST,
    LOWERED,
    Compiled,
    CompileRequest,
    LoweredProgram,
    LowerRequest,
)

INSTALL = "run 'pip install --no-deps -r requirements/plan.txt'"
# The packages that the extra brings.
PACKAGES = ("jax", "jaxlib", "libtpu")

# Fields of a request that change no program: where it is kept, what the data are called, the name
# of the recipe, whether the weights are pretrained, and how the host makes squares of photos. So
# `scratch` shares the programs of `progressive`.
_UNSEEN: Mapping[str, Any] = {
    "folder": True,
    "spec": {
        "data": True,
        "recipe": {"name": True, "pretrained": True, "geometry": True, "filter": True},
    },
}

# How long a process may take: the largest network's training step takes minutes on two cores.
SECONDS = 3600

# The smallest program: what keeps the compiler from compiling this one keeps it from all others.
LEAST = "func.func public @main(%x: tensor<f32>) -> tensor<f32> { return %x : tensor<f32> }\n"

Answer = TypeVar("Answer")


class CrashError(Exception):
    """A process ended without an answer. That is no trait of the program, so it is not kept."""


def check() -> None:
    """Makes sure that the extra is installed, and that it can be.

    Raises:
        EffbenchError: it is not, or it cannot be.
    """
    if tpu.build():
        raise EffbenchError(
            "effbench plan needs TensorFlow's CPU build",
            "the tpu set, whose libtpu is another one",
            "run it where 'make setup ACCEL=cpu' was run; a plan needs no TPU",
        )
    missing = [name for name in PACKAGES if not provenance.version(name)]
    if missing:
        raise EffbenchError("effbench plan needs its extra", f"no {', '.join(missing)}", INSTALL)


def begin(tpu_slice: Slice, working: Callable[[], None]) -> None:
    """Makes sure that the compiler loads and its answers can be kept, before minutes of tracing.

    Raises:
        EffbenchError: the compiler does not load, or its answers cannot be kept.
    """
    path = cache.plans() / "programs" / "least.mlir"
    if not path.exists():
        write_atomically(path, LEAST.encode())
    try:
        compile(path.name, tpu_slice, working)
    except CrashError as error:
        raise EffbenchError("the compiler does not start", str(error), INSTALL) from error


def lower(
    spec: RunSpec, data: Outline, batch: int | None, replicas: int, working: Callable[[], None]
) -> tuple[LoweredProgram, ...]:
    """The programs of a run.

    Args:
        spec: what the run is.
        data: how many images of what kind it is on.
        batch: images that a replica takes at once where the network runs, or None for what the run
            takes.
        replicas: how many replicas share the work.
        working: called if the programs are not known yet and have to be traced.

    Raises:
        CrashError: the process ended without an answer.
        EffbenchError: no other program can be kept or lowered either.
    """
    home = cache.plans()
    order = LowerRequest(spec, data, batch, replicas, home / "programs")
    known = {**provenance.versions(), "jax": provenance.version("jax"), "source": _source()}
    name = digest([LOWER_REQUEST.dump_python(order, mode="json", exclude=_UNSEEN), known])[:24]
    path = home / "lowered" / f"{name}.json"
    answer = _read(path, LOWERED)
    files = {file for row in answer or () for file in (row.program, row.body) if file}
    if answer is None or not all((order.folder / file).is_file() for file in files):
        working()
        answer = _ask("lower_worker", LOWER_REQUEST.dump_json(order), LOWERED)
        write_atomically(path, LOWERED.dump_json(answer, indent=1))
    return answer


def compile(program: str, tpu_slice: Slice, working: Callable[[], None]) -> Compiled:
    """What the compiler says of a program that was lowered before.

    Args:
        program: name of the program's file.
        tpu_slice: the slice for all of whose replicas it is compiled.
        working: called if the answer is not known yet and the compiler has to run.

    Raises:
        CrashError: the compiler ended without an answer.
        EffbenchError: it can compile nothing, or nothing can be kept.
    """
    home = cache.plans()
    versions = "-".join(f"{package}{provenance.version(package)}" for package in PACKAGES)
    name = f"{program.removesuffix('.mlir')}-{tpu_slice.name}-{versions}"
    path = home / "compiled" / f"{name}.json"
    answer = _read(path, COMPILED)
    if answer is None:
        working()
        task = CompileRequest(
            home / "programs" / program,
            tpu_slice.topology,
            tpu_slice.generation.joined,
            tpu_slice.replicas,
        )
        answer = _ask("compile_worker", COMPILE_REQUEST.dump_json(task), COMPILED)
        write_atomically(path, COMPILED.dump_json(answer, indent=1))
    return answer


# Packages of effbench that shape no program: they only show what others made.
AFTERWARDS = ("bench", "cli", "export", "report")


@functools.cache
def _source() -> str:
    return source_hash(Path(effbench.__file__).parent)


def source_hash(home: Path) -> str:
    """A sha256 of every file of the package in `home` that may shape a program; hexadecimal."""
    content_hash = hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        name = path.relative_to(home)
        if name.parts[0] not in AFTERWARDS:
            content_hash.update(f"{name}\0".encode() + path.read_bytes())
    return content_hash.hexdigest()


def _read(path: Path, kind: TypeAdapter[Answer]) -> Answer | None:
    """An answer that was kept; None where there is none that can be read."""
    try:
        return kind.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _ask(module: str, question: bytes, kind: TypeAdapter[Answer]) -> Answer:
    """Starts a process, hands it a line and reads its answer."""
    home = cache.plans()
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
    try:
        return subprocesses.ask(
            f"effbench.tpu_plan.{module}", question, kind, tpu.for_child(""), SECONDS
        )
    except TimeoutError as error:
        raise CrashError(f"no answer in {SECONDS / 60:.0f} minutes") from error
    except subprocesses.NoAnswerError as error:
        said = one_line(error.last)[:300] or "it said nothing"
        raise CrashError(str(error) if error.code < 0 else said) from error
