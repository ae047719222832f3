"""What runs need of memory, said before they take it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import psutil

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.models import memory
from effbench.training.feature_cache import batch_size

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
    more = f" and {len(worst) - NAMED} more" if len(worst) > NAMED else ""
    listed = ", ".join(f"{needs[run] / 1e9:.0f} GB for {run}" for run in worst[:NAMED])
    memory_here = psutil.virtual_memory()
    free = f"{memory_here.available / 1e9:.0f} GB of {memory_here.total / 1e9:.0f} are free here"
    enough = "" if needs[worst[0]] < memory_here.available else ", which is too little"
    here = f"; {free}{enough}" if device == "cpu" else ""
    return [f"memory that a step takes at least: {listed}{more}{here}"]


def at_least(spec: RunSpec, device: str, replicas: int) -> tuple[int, int]:
    """How many images a replica takes at once, and how many bytes that takes at least."""
    network = (VARIANTS[spec.variant], spec.image_size)
    if spec.recipe.way.frozen_backbone:
        images = batch_size(spec.image_size, device, replicas)
        return images, memory.inference(*network, images, spec.precision)
    images = (spec.micro_batch or spec.recipe.batch_size) // replicas
    return images, memory.training(*network, images, spec.precision)
