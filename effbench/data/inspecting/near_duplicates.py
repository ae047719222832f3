"""Images that look the same: groups whose perceptual hashes differ in a few of their 64 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.data.pixels import decoding_pool
from effbench.data.pixels.decoding_tasks import HashTask
from effbench.progress import Report, Step

# Bits of the hash (pHash, of the lowest frequencies) in which near duplicates differ at most:
# another size, another compression or a slight blur changes none to 4 of them.
NEAR_BITS = 4
# Hashes that are compared with all others at once; 100,000 take 50 MB.
_ROWS = 64


@dataclass(frozen=True)
class NearGroup:
    """Images each of which looks like another one of them.

    Attributes:
        positions: of the images, ascending.
        bits: in which the hashes differ of two that look the same, at most; 0 where all are equal.
            Two that only look like a third one may differ in more.
    """

    positions: tuple[int, ...]
    bits: int


def groups(paths: Sequence[Path], report: Report) -> tuple[NearGroup, ...]:
    """All groups of images that look the same, by their first images.

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
    return _grouped(np.array([int(texts[index], 16) for index in known], np.uint64), known)


def _grouped(values: np.ndarray, known: np.ndarray) -> tuple[NearGroup, ...]:
    """The groups of the images at `known` (int [n]), whose hashes are `values` (uint64 [n])."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    hashes, which = np.unique(values, return_inverse=True)
    square = (len(hashes), len(hashes))
    # Of all links, as many as join the groups: a video has far more pairs than images.
    links = coo_array(square, dtype=float).tocsr()
    for start in range(0, len(hashes), _ROWS):
        bits = np.bitwise_count(hashes[start : start + _ROWS, None] ^ hashes[None, start:])
        rows, columns = np.nonzero(np.triu(bits <= NEAR_BITS, 1))
        if rows.size:
            near = (bits[rows, columns].astype(float), (rows + start, columns + start))
            links = minimum_spanning_tree(links + coo_array(near, square).tocsr())
    _, group_of = connected_components(links, directed=False)
    largest = np.zeros(len(hashes), int)
    ends = links.tocoo()
    np.maximum.at(largest, group_of[ends.row], ends.data.astype(int))
    members: dict[int, list[int]] = {}
    for position, group in zip(known.tolist(), group_of[which].tolist(), strict=True):
        members.setdefault(group, []).append(position)
    return tuple(
        NearGroup(tuple(positions), int(largest[group]))
        for group, positions in members.items()
        if len(positions) > 1
    )
