"""The images of several splits as those of one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from effbench.data.splits import Rows


class Joined:
    """Images that are read as if they were one array, without a copy of them all.

    Attributes:
        shape: of the whole.
        sha256: of all pixels in their order, hexadecimal; of rows in files, that of their hashes.
    """

    def __init__(self, parts: Sequence[np.ndarray | Rows]) -> None:
        """The images of each of `parts` have one size."""
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])
        digest = hashlib.sha256()
        for part in parts:
            if isinstance(part, Rows):
                digest.update(part.sha256.encode())
            else:
                digest.update(np.ascontiguousarray(part).data)
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice) -> np.ndarray:
        first, last, _ = chosen.indices(len(self))
        pieces = [
            part[max(0, first - end + len(part)) : last - end + len(part)]
            for part, end in zip(self._parts, self._ends, strict=True)
            if first < end and last > end - len(part)
        ]
        return np.concatenate(pieces)
