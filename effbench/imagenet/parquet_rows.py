"""Images and labels in Parquet files, as Hugging Face has them; its reader is an optional extra."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.errors import DataError, EffbenchError
from effbench.imagenet import synsets

_VALIDATION = "name the validation images' files"


@dataclass(frozen=True)
class ParquetRows:
    """The rows of some files.

    Attributes:
        names: of each row.
        labels: int32 [n].
        contents: the bytes of the images at some ascending positions.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    contents: Callable[[Sequence[int]], Iterator[bytes]]


def read(paths: Sequence[Path]) -> ParquetRows:
    """The labels of all rows; images are read as they are asked for.

    Raises:
        EffbenchError: the package that reads Parquet is not there.
        DataError: a file has other columns, or labels that are no classes.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        hint = "pip install 'effbench[parquet]'"
        raise EffbenchError("Parquet files need a package", "no pyarrow", hint) from error
    files = []
    labels = []
    for path in paths:
        try:
            files.append(parquet.ParquetFile(path))
            labels.append(files[-1].read(["label"])["label"].to_numpy())
        except KeyError as error:
            rule = "Parquet files need the columns image and label"
            raise DataError(rule, f"{path.name}: {error}", "name those of ImageNet") from error
        except (ArrowException, OSError) as error:
            rule = "a Parquet file is damaged, or not whole"
            raise DataError(rule, f"{path.name}: {error}", "get the file again") from error
    joined = np.concatenate(labels)
    if joined.dtype.kind not in "iu":
        raise DataError("labels are 0 to 999", "texts, or rows without one", _VALIDATION)
    if joined.min() < 0 or joined.max() >= synsets.COUNT:
        received = f"{joined.min()} to {joined.max()}"
        raise DataError("labels are 0 to 999", received, _VALIDATION)

    def contents(positions: Sequence[int]) -> Iterator[bytes]:
        wanted, first = list(positions), 0
        for file in files:
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                inside = [
                    position - first for position in wanted if first <= position < first + count
                ]
                if inside:
                    images = file.read_row_group(group, ["image"])["image"]
                    yield from (images[row]["bytes"].as_py() for row in inside)
                first += count

    names = tuple(
        f"{path.name}:{row}"
        for path, part in zip(paths, labels, strict=True)
        for row in range(len(part))
    )
    return ParquetRows(names, joined.astype(np.int32), contents)
