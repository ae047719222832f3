"""What photos cost: they are decoded once, then fed to every training step from the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from effbench.bench.comparisons import TimingComparison, empty_cache
from effbench.bench.work_timing import best
from effbench.hardware import machine

CLASSES = 10
# Batches that are fed, over as many epochs as they take.
FED = 500
# Width and height of a photo, and of the random colours that it is enlarged from.
_SIZE, _COLOURS = (320, 240), (16, 12)


def photos(counts: Sequence[int], image_size: int, batch: int, steps: int) -> TimingComparison:
    """Decoding, feeding and training steps of B0, for folders of so many synthetic photos.

    Args:
        counts: photos of each folder.
        image_size: pixels a side that they are decoded to.
        batch: images of a step.
        steps: training steps that are timed, the first and its compilation left out.
    """
    timings, findings = [], [f"B0 at {image_size}, {machine.cpu_name()}"]
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="effbench-") as folder, empty_cache():
            write(Path(folder), count)
            name = f"{count:,} photos"
            decoded, fed, trained = best(
                {
                    f"{name}: decoded": ("decoded", folder, image_size),
                    f"{name}: {FED} batches fed": ("fed", folder, image_size, batch, FED),
                    f"{name}: {steps} training steps": (
                        "trained",
                        folder,
                        image_size,
                        batch,
                        steps,
                    ),
                },
                rounds=1,
            )
        timings += [decoded, fed, trained]
        speed, needed = batch * FED / fed.seconds, batch * steps / trained.seconds
        findings.append(
            f"{name}: {count / decoded.seconds:,.0f} images/s are decoded; {speed:,.0f} images/s "
            f"can be fed, {speed / needed:,.0f} times as many as steps of {batch} take"
        )
    return TimingComparison(tuple(timings), tuple(findings))


def write(folder: Path, count: int) -> None:
    """Writes so many JPEGs into a subfolder for each class."""
    colours = np.random.default_rng(0)
    for number in range(CLASSES):
        (folder / str(number)).mkdir()
    for number in range(count):
        pixels = colours.integers(0, 256, (*_COLOURS[::-1], 3), np.uint8)
        path = folder / str(number % CLASSES) / f"{number:06}.jpg"
        Image.fromarray(pixels).resize(_SIZE).save(path)
