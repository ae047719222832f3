"""Images that are too many to be held: pieces of them, each read while the one before is used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np

# Of the pixels of a piece; two pieces and a copy on the device are in memory at a time.
PIECE_BYTES = 2**28

Item = TypeVar("Item")
Piece = TypeVar("Piece")


class Readable(Protocol):
    """Images, or what a frozen part made of them, [n, ...], of which those are read that are asked.

    See `splits.Rows` and `frozen_maps.MapRows`.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """How many, and the shape of one."""

    @property
    def dtype(self) -> np.dtype:
        """Of their numbers."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        """Those of a slice, or at positions int [m]."""


def batches_at_once(rows: Readable | np.ndarray, batch: int, multiple: int = 1) -> int:
    """Batches of a piece: as many as `PIECE_BYTES` hold, a multiple of `multiple`."""
    size = batch * int(np.prod(rows.shape[1:])) * rows.dtype.itemsize
    return max(1, PIECE_BYTES // (size * multiple)) * multiple


def gathered(rows: Readable, positions: np.ndarray) -> np.ndarray:
    """The images at positions int [batches, batch]: [batches, batch, ...]."""
    return rows[positions.ravel()].reshape(*positions.shape, *rows.shape[1:])


def ahead(make: Callable[[Item], Piece], items: Iterable[Item]) -> Iterator[Piece]:
    """What `make` returns for each item; it makes the next one in a thread meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        waiting: Future[Piece] | None = None
        for item in items:
            following = thread.submit(make, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


class StepFeed:
    """The images of training steps that follow one another.

    Attributes:
        waited: seconds in which steps waited for images.
    """

    def __init__(self, rows: Readable, batch: int) -> None:
        """Steps take `batch` of the images in `rows`."""
        self._rows = rows
        self._block = batches_at_once(rows, batch)
        self._thread = ThreadPoolExecutor(1)
        self._order = np.empty(0)
        self._blocks: dict[int, Future[np.ndarray]] = {}
        self.waited = 0.0

    def most(self, first: int) -> int:
        """How many steps from `first` on `pixels` can give at once."""
        return self._block - first % self._block

    def pixels(self, order: np.ndarray, first: int, last: int) -> np.ndarray:
        """The images of some steps of an epoch; those of the steps after them are read meanwhile.

        Args:
            order: int32 [steps, batch], the epoch's batches.
            first: index in `order` of the first step.
            last: index after the last step, `most(first)` more at most.

        Returns:
            [last - first, batch, ...], e.g. of uint8 pixels.
        """
        if self._order is not order:
            self._order, self._blocks = order, {}
        number = first // self._block
        near = {block: self._piece(block) for block in (number, number + 1)}
        self._blocks = {block: piece for block, piece in near.items() if piece is not None}
        begin = number * self._block
        began = time.perf_counter()
        piece = self._blocks[number].result()
        self.waited += time.perf_counter() - began
        return piece[first - begin : last - begin]

    def _piece(self, block: int) -> Future[np.ndarray] | None:
        positions = self._order[block * self._block : (block + 1) * self._block]
        if block in self._blocks or not len(positions):
            return self._blocks.get(block)
        return self._thread.submit(gathered, self._rows, positions)
