"""Writes the programs of networks to a folder that a machine with JAX and numpy alone can time."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

import effbench
from effbench.bench import program_files, step
from effbench.bench.program_files import Argument, ProgramFile
from effbench.bench.program_request import ProgramRequest
from effbench.config import schedule
from effbench.config.precisions import PRECISIONS
from effbench.config.recipes import resolved
from effbench.config.variants import Variant
from effbench.engines import lowering
from effbench.files import write_atomically
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone, weights
from effbench.progress import Report, Step
from effbench.training.fine_tuning.fine_tune_step import FineTuneTask, NetworkTrainer

CLASSES = 10
DEVICE = "gpu"  # the kind that the networks are built for; a TPU takes them as well
SIDE = 32  # pixels of the images that come in, as CIFAR-10's

# What runs a folder of programs elsewhere, beside the packages' own files.
_RUNNER = (
    "__init__.py",
    "bench/__init__.py",
    "bench/program_files.py",
    "bench/program_runner.py",
    "bench/timm_peer.py",
    "engines/__init__.py",
    "engines/pjrt.py",
)


@dataclass(frozen=True)
class Traced:
    """A function to be lowered, and what it is given.

    Attributes:
        function: the function.
        inputs: arrays, one for each of its inputs.
    """

    function: Callable[..., object]
    inputs: tuple[np.ndarray, ...]


def write(requests: Sequence[ProgramRequest], folder: Path, report: Report) -> None:
    """Writes programs, their arguments or what to draw them from, and what runs them.

    Raises:
        DiskError: it cannot be written.
    """
    listed = []
    for number, request in enumerate(requests):
        report(Step(f"lower {request.name}", number, len(requests), "programs"))
        listed.append(_write(request, folder))
        program_files.write_list(folder, listed, effbench.__version__)
    package = Path(effbench.__file__).parent
    for name in _RUNNER:
        write_atomically(folder / package.name / name, (package / name).read_bytes())


def _write(request: ProgramRequest, folder: Path) -> ProgramFile:
    traced = WORK[request.work](request)
    specs = [tf.TensorSpec(array.shape, array.dtype) for array in traced.inputs]
    full_float32 = PRECISIONS[request.precision].full_float32
    lowered = lowering.lower(traced.function, specs, full_float32=full_float32)
    text = lowered.text.encode()
    write_atomically(folder / f"{request.name}.mlir.gz", gzip.compress(text, mtime=0))
    state = [value.read() for value in lowered.captured]
    stored = request.weights_file is not None
    if stored:
        results = np.asarray(traced.function(*map(tf.constant, traced.inputs)))
        buffer = io.BytesIO()
        np.savez(buffer, *traced.inputs, *state, results)
        write_atomically(folder / f"{request.name}.npz", buffer.getvalue())
    return ProgramFile(
        name=request.name,
        variant=request.variant.name,
        work=request.work,
        image_size=request.variant.image_size,
        precision=request.precision,
        batch=request.batch,
        inputs=tuple(map(_argument, traced.inputs)),
        state=tuple(map(_argument, state)),
        changed=lowered.changed,
        outputs=lowered.outputs,
        stored=stored,
    )


@lru_cache(maxsize=1)
def _frozen(variant: Variant, precision: str, weights_file: Path | None) -> keras.Model:
    """A backbone; programs of several batches have one."""
    model = backbone.build(variant, variant.image_size, precision)
    if weights_file:
        weights.load(model, weights_file)
    else:
        backbone.calibrate(model, variant.image_size, variant.rescale, _images(2))
    return model


def _features(request: ProgramRequest) -> Traced:
    variant = request.variant
    model = _frozen(variant, request.precision, request.weights_file)
    run = backbone.forward(model, variant.image_size, variant.rescale, request.batch, 1, DEVICE)
    return Traced(run, (_images(request.batch),))


def _step(request: ProgramRequest) -> Traced:
    """A step of `finetune` without augmentation."""
    variant, batch = request.variant, request.batch
    recipe = replace(step.plain(resolved("finetune", variant.name)), batch_size=batch)
    model, noise = backbone.trainable(variant, request.precision, recipe.survival, DEVICE)
    backbone.randomize(model, 0)
    labels = np.arange(batch, dtype=np.int32) % CLASSES
    task = FineTuneTask(
        tf.identity, labels, recipe, variant.rescale, 0, batch, DEVICE, classes=CLASSES
    )
    trainer = NetworkTrainer(model, noise, task)
    stage = schedule.split(recipe, variant.image_size)[-1]
    return Traced(trainer.step(stage), (_images(batch), labels, np.array([0, 1], np.int32)))


WORK: dict[str, Callable[[ProgramRequest], Traced]] = {"features": _features, "step": _step}


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def _argument(array: np.ndarray) -> Argument:
    numbers = array.astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    deviation = float(numbers.std())
    return Argument(array.shape, str(array.dtype), low, high, float(numbers.mean()), deviation)
