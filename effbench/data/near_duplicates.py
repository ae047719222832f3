"""Images that look the same: pairs whose perceptual hashes differ in a few of their 64 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.data import decoding_pool
from effbench.data.decoding_tasks import HashTask
from effbench.progress import Report, Step

# Bits of the hash (pHash, of the lowest frequencies) in which near duplicates differ at most:
# another size, another compression or a slight blur changes none to 4 of them.
NEAR_BITS = 4
# More pairs than that are no list any more: a video, or blank pages.
MOST = 10_000
# Rows that are compared with all others at once; 100,000 images take 50 MB.
_ROWS = 64


@dataclass(frozen=True)
class NearPair:
    """Two images that look the same: their positions, and the bits in which their hashes differ."""

    first: int
    second: int
    bits: int


def pairs(paths: Sequence[Path], report: Report) -> tuple[NearPair, ...]:
    """All pairs of images that look the same, the `MOST` first ones.

    Args:
        paths: of images that can be read.
        report: told of the progress, in images.
    """
    tasks = [HashTask(tuple(map(str, batch))) for batch in decoding_pool.batches(paths)]
    hashes: list[tuple[str, ...]] = [()] * len(tasks)
    count = 0
    for position, answers in decoding_pool.done(tasks, str):
        hashes[position] = answers
        count += len(answers)
        report(Step("compare", count, len(paths), "images"))
    texts = [text for batch in hashes for text in batch]
    known = np.flatnonzero([bool(text) for text in texts])
    values = np.array([int(texts[index], 16) for index in known], np.uint64)
    return tuple(_close(values, known))


def _close(values: np.ndarray, known: np.ndarray) -> list[NearPair]:
    close: list[NearPair] = []
    for start in range(0, len(values), _ROWS):
        bits = np.bitwise_count(values[start : start + _ROWS, None] ^ values[None, start:])
        for row, column in np.argwhere(np.triu(bits <= NEAR_BITS, 1)):
            first, second = int(known[start + row]), int(known[start + column])
            close.append(NearPair(first, second, int(bits[row, column])))
        if len(close) >= MOST:
            break
    return close[:MOST]
