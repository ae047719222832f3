"""The classes of the 50,000 validation images where they lie in one folder.

The devkit numbers classes in an order of its own; a network's outputs are in the order of WordNet's
ids. So its answers are read together with the table that says which id has which number.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from effbench.data.inspecting.listing import some
from effbench.errors import DataError
from effbench.imagenet import synsets

IMAGES = 50_000
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz from image-net.org, unpacked beside the images"


def read(folders: Sequence[Path], named: Path | None = None) -> np.ndarray:
    """Each image's class by the number in its file name, from 1 on.

    Args:
        folders: where the answers may be, and in folders of theirs named "devkit".
        named: the file of the answers, where somebody named it.

    Returns:
        int32 [50,001], in the order of `synsets`; the first is -1.

    Raises:
        DataError: there are no answers, not as many as images, or they are of no known form.
    """
    path = named or _answers_beside(folders)
    try:
        classes = _reader(path)(path)
    except (OSError, UnicodeDecodeError, ValueError, KeyError) as error:
        raise DataError("cannot read the answers", f"{path}: {error}", f"get {DEVKIT}") from error
    if len(classes) != IMAGES:
        raise DataError(
            f"answers are of {IMAGES:,} images", f"{path} has {len(classes):,}", f"get {DEVKIT}"
        )
    return np.concatenate([[-1], classes]).astype(np.int32)


def _reader(path: Path) -> Callable[[Path], list[int]]:
    """What reads a file of answers, whatever it is called: its first line tells its form."""
    with path.open(encoding="utf-8") as file:
        first = file.readline()
    for form, reader in _FORMS.items():
        if re.match(form, first):
            return reader
    raise DataError(
        "a file of answers has a number of the devkit or a WordNet id on each line, or is Kaggle's",
        f"{path.name} begins with {first.strip()[:40]!r}",
        f"get {DEVKIT}",
    )


def _answers_beside(folders: Sequence[Path]) -> Path:
    for folder in folders:
        for inside in (folder, *sorted(folder.glob("*devkit*/data")), *sorted(folder.glob("data"))):
            for name in _NAMES:
                if (inside / name).is_file():
                    return inside / name
    raise DataError(
        f"{IMAGES:,} images in one folder need the answers beside them",
        f"none of {', '.join(_NAMES)}",
        f"get {DEVKIT}, or name the file with --labels",
    )


def _devkit(path: Path) -> list[int]:
    """`ILSVRC2012_validation_ground_truth.txt`: numbers of the devkit, 1 to 1,000."""
    numbers = [int(line) for line in path.read_text("utf-8").split()]
    if numbers and not (min(numbers) >= 1 and max(numbers) <= synsets.COUNT):
        rule = f"the devkit numbers classes from 1 to {synsets.COUNT:,}"
        raise DataError(rule, f"{min(numbers)} to {max(numbers)}", f"get {DEVKIT}")
    order = _order(path)
    return [order[number] for number in numbers]


def _order(answers: Path) -> dict[int, int]:
    """From the devkit's numbers to ours, by a table beside its answers."""
    for name, table in _TABLES.items():
        path = answers.with_name(name)
        if path.is_file():
            ids = table(path)
            if sorted(ids.values()) != list(synsets.synsets()) or sorted(ids) != _DEVKITS_OWN:
                raise DataError("a devkit names each class once", str(path), f"get {DEVKIT}")
            return {number: synsets.numbers()[synset] for number, synset in ids.items()}
    raise DataError(
        "the devkit's numbers of classes are not in the order of a network's outputs",
        f"{answers} without {' or '.join(_TABLES)}",
        f"put it beside: get {DEVKIT}",
    )


_DEVKITS_OWN = list(range(1, synsets.COUNT + 1))


def _meta(path: Path) -> dict[int, str]:
    """`meta.mat`; numbers above 1,000 are of groups of classes."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        table = loadmat(str(path), squeeze_me=True)["synsets"]
    except MatReadError as error:
        raise ValueError(f"{path.name}: {error}") from error
    rows = zip(table["ILSVRC2012_ID"], table["WNID"], strict=True)
    return {int(number): str(synset) for number, synset in rows if int(number) <= synsets.COUNT}


def _map_clsloc(path: Path) -> dict[int, str]:
    """`map_clsloc.txt` of later devkits: id, number and a word on each line."""
    lines = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    return {int(number): synset for synset, number, *_ in lines}


_TABLES: Mapping[str, Callable[[Path], dict[int, str]]] = {
    "meta.mat": _meta,
    "map_clsloc.txt": _map_clsloc,
}


def _kaggle(path: Path) -> list[int]:
    """`LOC_val_solution.csv`: a name without its ending, and ids with boxes, in any order."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
    return _numbered([rows[name] for name in sorted(rows)])


def _slim(path: Path) -> list[int]:
    """`imagenet_2012_validation_synset_labels.txt` of tensorflow/models: an id on each line."""
    return _numbered(path.read_text("utf-8").split())


def _numbered(ids: Sequence[str]) -> list[int]:
    if strange := synsets.unknown(ids):
        raise DataError("answers name classes of ImageNet", some(strange), f"get {DEVKIT}")
    return [synsets.numbers()[synset] for synset in ids]


# How the first line of each form begins.
_FORMS: Mapping[str, Callable[[Path], list[int]]] = {
    r"\d+\s*$": _devkit,
    r"n\d{8}\s*$": _slim,
    r"ImageId,PredictionString": _kaggle,
}
# Names of such files beside the images, the first of which is taken.
_NAMES = (
    "ILSVRC2012_validation_ground_truth.txt",
    "LOC_val_solution.csv",
    "imagenet_2012_validation_synset_labels.txt",
)
