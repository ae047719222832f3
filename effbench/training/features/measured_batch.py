"""The batch in which an accelerator computes features fastest: tried once, and remembered.

How fast a GPU is depends on it by more than a guess can tell: on an H100, S at 384 pixels ran 5,526
images/s in batches of 64, and 2,549 in batches of 256. On a CPU all sizes are as fast as each
other, see `feature_cache.batch_size`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence

import numpy as np

from effbench import cache, files
from effbench.engines.engine import Program
from effbench.hardware.tensorflow_setup import tf
from effbench.progress import Report, Step
from effbench.training.features.feature_cache import CHUNK

# What each size is tried for, after it has been compiled.
SECONDS = 2.0
# Kinds of device on which it matters.
DEVICES = ("gpu", "tpu")


def sizes(usual: int, replicas: int) -> list[int]:
    """Sizes that are worth a try, of a replica: half the usual, the usual, and twice as many.

    With more than a chunk at once, the rest of the batch would be padding.

    Args:
        usual: the usual.
        replicas: that share a batch.

    Returns:
        Images of whole batches, ascending.
    """
    most = max(usual, CHUNK // replicas)
    each_replica = {max(1, usual // 2), usual, min(2 * usual, most)}
    return [replicas * images for images in sorted(each_replica)]


def fastest(
    tried: Sequence[int],
    names: Sequence[str],
    program: Callable[[int], Program],
    images: np.ndarray,
    report: Report,
) -> int:
    """The size of which most images a second go through a program.

    Args:
        tried: sizes; one that the device has no memory for is passed over.
        names: all that the answer depends on but the sizes: device, engine, network. It is kept by
            them, so that it is measured once.
        program: makes what computes a batch of a size.
        images: uint8 [n, h, w, 3], to fill batches with.
        report: told of every try.

    Raises:
        DiskError: the answer cannot be kept.
        MemoryError: there is too little for any of them.
    """
    digest = hashlib.sha256(json.dumps([*names, *tried]).encode()).hexdigest()
    path = cache.batches() / f"{digest[:16]}.json"
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError):  # not there, or damaged
        return int(json.loads(path.read_bytes())["batch"])
    speeds: dict[int, float] = {}
    for size in tried:
        report(Step(f"time batches of {size}"))
        with contextlib.suppress(MemoryError, tf.errors.ResourceExhaustedError):
            speeds[size] = _speed(program(size), np.resize(images, (size, *images.shape[1:])))
    if not speeds:
        raise MemoryError(f"not even a batch of {min(tried)} images fits")
    best = max(speeds, key=speeds.__getitem__)
    report(Step(f"batches of {best}: {speeds[best]:,.0f} images/s", lasting=True))
    content = {"names": names, "batch": best, "images_per_second": speeds}
    files.write_atomically(path, json.dumps(content, indent=1).encode())
    return best


def _speed(program: Program, batch: np.ndarray) -> float:
    """Images a second, without the first call, which compiles it."""
    program(batch)
    began, calls = time.perf_counter(), 0
    while (seconds := time.perf_counter() - began) < SECONDS or not calls:
        program(batch)
        calls += 1
    return calls * len(batch) / seconds
