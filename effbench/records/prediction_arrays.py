"""What a run says of each image: the arrays of a file beside its record, and their names."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# How a file of an array begins that has the usual, short kind of header.
_USUAL = b"\x93NUMPY\x01\x00"

# The arrays of a split that each rule has others of.
OF_A_RULE = ("predicted", "rank", "probability")


def prefixed(prefix: str, name: str) -> str:
    """What predictions call an array, like `test_rank`, of another rule than the recipe's.

    `prefix` is that of its `scores.Selected`.
    """
    return f"{prefix}_{name}" if name.rpartition("_")[2] in OF_A_RULE else name


@dataclass(frozen=True)
class Predictions:
    """A compressed .npz beside the record.

    For `validation`, and for `test` if there is one: `<split>_index` (position in the official
    files), `<split>_label` and `<split>_predicted` (uint8, or uint16 of more than 256 classes),
    `<split>_rank` (likewise; 0 is a top-1 hit, below 5 a top-5 hit) and `<split>_probability`
    (float16, [images, classes]). Where images have files of their own, `<split>_name` (text);
    where they come in groups, `<split>_group` (integers) numbers the group of each.

    These are of the epoch that the recipe's rule chooses. For each other epoch that a rule chooses,
    the arrays of `OF_A_RULE` are there as `epoch<number>_<split>_...`; in a cross-validation, whose
    folds have an epoch each, those of each other rule as `<rule>_<split>_...`, with hyphens in the
    rule's name.

    Attributes:
        file: name of the file.
        sha256: the hash of its content.
        epochs: the epochs that it is of, in their order, 0 in a cross-validation; none in records
            from before there were others than the recipe's.
    """

    file: str
    sha256: str
    epochs: tuple[int, ...] = ()


def read(
    content: bytes, names: Mapping[str, str], optional: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Arrays of a .npz; only these are decompressed.

    Args:
        content: of the file.
        names: what to call each, and what the file calls it; none for all, as the file calls them.
        optional: arrays that are read too, where they are there.

    Raises:
        KeyError, ValueError, zipfile.BadZipFile and others: an array is not there, or damaged.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        there = [member.removesuffix(".npy") for member in archive.namelist()]
        wanted = dict(names) or {name: name for name in there}
        wanted |= {name: name for name in sorted({*optional} & {*there})}
        return {name: _array(archive.read(f"{array}.npy")) for name, array in wanted.items()}


def _array(content: bytes) -> np.ndarray:
    """The array of a .npy: as NumPy reads it, which parses each header as a program."""
    if not content.startswith(_USUAL):
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    start = len(_USUAL) + 2
    end = start + int.from_bytes(content[len(_USUAL) : start], "little")
    shape, by_column, dtype = _layout(content[start - 2 : end])
    count = math.prod(shape)
    if not count:
        return np.empty(shape, dtype)
    flat = np.frombuffer(content, dtype, count, end)
    return flat.reshape(shape, order="F" if by_column else "C").copy()


@lru_cache(maxsize=256)
def _layout(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape, whether columns come first, and the type; those of many runs are the same."""
    return np.lib.format.read_array_header_1_0(io.BytesIO(header))
