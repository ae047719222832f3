"""What runs need of memory, said before they take it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import psutil

from effbench.config.network_stages import ALL
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.errors import UsageError
from effbench.models import memory
from effbench.training.features.feature_cache import batch_size

# Bytes of which nobody need be told.
LITTLE = 4 * 10**9
# A line names so many networks.
NAMED = 3


def remarks(specs: Sequence[RunSpec], device: str, replicas: int) -> list[str]:
    """A line on the networks that take much memory on each replica; none where none does.

    Args:
        specs: the runs.
        device: kind of device.
        replicas: that share a batch.
    """
    needs = {}
    for spec in specs:
        images, needed = at_least(spec, device, replicas)
        needs[_run(spec.variant, images, spec.image_size)] = needed
    return _said(needs, device)


def most_at_once(spec: RunSpec) -> int:
    """Images of a batch that the CPU's memory may hold in a training step; 0 where it holds none.

    It is all of them, or what is left after as many halvings as it takes to be less than the
    machine has at all. Only what cannot fit is halved: steps on a CPU took twice to six times what
    is counted (`results/network`, `results/bench-training.json`). Of a network that trains from a
    stage on too much is counted, so that nothing is said of it.
    """
    images, whole = _asked(spec), psutil.virtual_memory().total
    if spec.recipe.way.frozen_backbone or spec.recipe.unfreeze != ALL:
        return images
    while _training(spec, images) > whole:
        images, odd = divmod(images, 2)
        if odd:
            return 0
    return images


def begins_smaller(specs: Sequence[RunSpec], *, retry: bool) -> list[str]:
    """A line on the training steps that this machine's CPU takes in parts; none where all fit.

    Args:
        specs: the runs.
        retry: whether smaller micro-batches may be taken.

    Raises:
        UsageError: not even one micro-batch fits, or none but that of the run may be taken.
    """
    parts = {}
    for spec in specs:
        images, fits = _asked(spec), most_at_once(spec)
        if fits == images:
            continue
        run = _run(spec.variant, images, spec.image_size)
        if not (fits and retry):
            raise UsageError(
                "a training step fits into the memory of the machine",
                f"at least {_training(spec, images) / 1e9:.0f} GB for {run}, where there are "
                f"{psutil.virtual_memory().total / 1e9:.0f}",
                _smaller(spec),
            )
        parts[run] = f"--micro-batch {fits} for {run}"
    if not parts:
        return []
    listed = _listed([*parts.values()])
    return [f"more than this machine's memory at once, so a batch is taken in parts: {listed}"]


def _smaller(spec: RunSpec) -> str:
    """What to do where a training step does not fit."""
    batch, whole = spec.recipe.batch_size, psutil.virtual_memory().total
    sizes = [size for size in range(1, _asked(spec)) if batch % size == 0]
    fitting = [size for size in sizes if _training(spec, size) <= whole]
    if fitting:
        return f"give --micro-batch {fitting[-1]}, or less"
    return "give a smaller --image-size, another network, or a machine with more"


def _asked(spec: RunSpec) -> int:
    return spec.micro_batch or spec.recipe.batch_size


def _training(spec: RunSpec, images: int) -> int:
    return memory.training(VARIANTS[spec.variant], spec.image_size, images, spec.precision)


def of_inference(networks: Iterable[tuple[str, int, str]], device: str) -> list[str]:
    """The same of networks that only answer: variant, image size and precision of each."""
    needs = {}
    for name, size, precision in networks:
        images = batch_size(size, device)
        needs[_run(name, images, size)] = memory.inference(VARIANTS[name], size, images, precision)
    return _said(needs, device)


def _run(name: str, images: int, size: int) -> str:
    return f"{name} of {images} images of {size} pixels"


def _said(needs: Mapping[str, int], device: str) -> list[str]:
    worst = sorted((run for run in needs if needs[run] > LITTLE), key=lambda run: -needs[run])
    if not worst:
        return []
    listed = _listed([f"{needs[run] / 1e9:.0f} GB for {run}" for run in worst])
    memory_here = psutil.virtual_memory()
    free = f"{memory_here.available / 1e9:.0f} GB of {memory_here.total / 1e9:.0f} are free here"
    enough = "" if needs[worst[0]] < memory_here.available else ", which is too little"
    here = f"; {free}{enough}" if device == "cpu" else ""
    return [f"memory that a step takes at least: {listed}{here}"]


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def at_least(spec: RunSpec, device: str, replicas: int) -> tuple[int, int]:
    """How many images a replica takes at once, and how many bytes that takes at least."""
    network = (VARIANTS[spec.variant], spec.image_size)
    if spec.recipe.way.frozen_backbone:
        images = batch_size(spec.image_size, device, replicas)
        return images, memory.inference(*network, images, spec.precision)
    images = _asked(spec) // replicas
    return images, _training(spec, images)
