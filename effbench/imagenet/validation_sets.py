"""ImageNet's validation images as people have them, and sets that are made like it.

Every layout is a row: 50,000 files in one folder, folders of ids, folders of numbers, Parquet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from effbench.config.run_spec import digest
from effbench.data import image_folders
from effbench.data.inspecting.listing import some
from effbench.data.pixels.decoding import ENDINGS
from effbench.errors import DataError
from effbench.imagenet import ground_truth, parquet_rows, synsets

IMAGENET = "imagenet"
VERSION_2 = "imagenet-v2"
# Where people who name the whole of ImageNet have its validation images.
_INSIDE = (
    *("val", "validation", "ILSVRC2012_img_val", "ILSVRC2012_val", "data"),
    *("Data/CLS-LOC/val", "ILSVRC/Data/CLS-LOC/val"),
)
_VALIDATION = re.compile(r"ILSVRC2012_val_0*(\d+)\b", re.IGNORECASE)
_TRAINING = re.compile(r"n\d{8}_\d+\.")
LAYOUT = (
    "name a folder of the 50,000 files with the devkit beside it, of 1,000 folders of ids "
    "(n01440764), of ImageNetV2's folders 0 to 999, or of Parquet files"
)

# Classes that even one of ImageNet's Parquet files has more of: its images are in no order.
_MOST = 500

# A file of an image, or its bytes.
Content = Path | bytes


@dataclass(frozen=True)
class ValidationSet:
    """Images and what they show.

    Attributes:
        name: "imagenet" for the whole or a part of ILSVRC 2012's 50,000, "imagenet-v2", or the
            name of the folder.
        names: the name of each image, sorted.
        labels: int32 [n]: the class of each in the order of `synsets`.
        contents: the images at some positions, one after the other.
        whole: how many images there are where none is left out.
        classes: those that may be answered: all, but in sets of fewer classes theirs.
    """

    name: str
    names: tuple[str, ...]
    labels: np.ndarray
    contents: Callable[[Sequence[int]], Iterator[Content]]
    whole: int
    classes: tuple[int, ...] = tuple(range(synsets.COUNT))

    @cached_property
    def sha256(self) -> str:
        """A hash of the names and labels of all images."""
        return digest([self.names, self.labels.tolist()])

    def limited(self, limit: int | None) -> list[int]:
        """The positions of so many images, the same each time; None for all."""
        count = len(self.names)
        if limit is None or limit >= count:
            return list(range(count))
        return sorted(np.random.RandomState(42).permutation(count)[:limit].tolist())


def read(root: Path, answers: Path | None = None, *, partial: bool = False) -> ValidationSet:
    """The images in a folder, whichever layout it has.

    Args:
        root: the folder, or one that it lies in as people unpack ImageNet.
        answers: the file of the answers, where somebody named it.
        partial: whether some of the 50,000 images may be missing.

    Raises:
        DataError: it has no known layout, or is not complete.
    """
    for folder in _candidates(root):
        for layout in _LAYOUTS:
            images = layout(folder, root, answers)
            if images is not None:
                if not partial:
                    _complete(images)
                return images
    raise DataError("no layout of ImageNet's validation images", _what(root), LAYOUT)


def _candidates(root: Path) -> Iterator[Path]:
    yield root
    yield from (root / name for name in _INSIDE if (root / name).is_dir())


def _flat(folder: Path, root: Path, answers: Path | None) -> ValidationSet | None:
    """All files in one folder, named by numbers."""
    names = sorted(path.name for path in folder.iterdir() if _VALIDATION.match(path.name))
    if not names:
        return None
    classes = ground_truth.read((folder, folder.parent, root, root.parent), answers)
    beyond = [name for name in names if not 1 <= _number(name) <= ground_truth.IMAGES]
    if beyond:
        raise DataError("validation images are numbered 1 to 50,000", some(beyond), "remove them")
    labels = classes[[_number(name) for name in names]]
    return ValidationSet(IMAGENET, tuple(names), labels, _files(folder, names), ground_truth.IMAGES)


def _by_id(folder: Path, root: Path, _: Path | None) -> ValidationSet | None:
    """A folder for each class, named by its id: all 1,000, or those of a set made like it."""
    ids = [name for name in _folders(folder) if synsets.PATTERN.fullmatch(name)]
    if not ids:
        return None
    if strange := synsets.unknown(ids):
        raise DataError("folders of classes that ImageNet has not", some(strange), LAYOUT)
    images = _in_classes(folder, ids, synsets.numbers().__getitem__)
    names = images.names
    if any(_TRAINING.search(name) for name in names[:100]):
        hint = "name its validation images"
        raise DataError("these are ImageNet's training images", some(names[:1]), hint)
    if all(_VALIDATION.search(name) for name in names):
        return replace(images, name=IMAGENET, whole=ground_truth.IMAGES)
    classes = tuple(sorted({synsets.numbers()[name] for name in ids}))
    return replace(images, name=_named(root), classes=classes)


def _named(root: Path) -> str:
    """The name of a folder; it is not that of a set which this folder is not."""
    name = root.resolve().name
    return f"{name}-folder" if name in (IMAGENET, VERSION_2) else name


def _by_number(folder: Path, _: Path, __: Path | None) -> ValidationSet | None:
    """Folders 0 to 999, which are outputs of a network, not words in an order: ImageNetV2."""
    numbers = [name for name in _folders(folder) if name.isdecimal()]
    if len(numbers) < synsets.COUNT or set(map(int, numbers)) != set(range(synsets.COUNT)):
        return None
    images = _in_classes(folder, numbers, int)
    if all(_VALIDATION.search(name) for name in images.names):
        return replace(images, name=IMAGENET, whole=ground_truth.IMAGES)
    return replace(images, name=VERSION_2)


def _in_parquet(folder: Path, root: Path, _: Path | None) -> ValidationSet | None:
    """Files with the columns `image` and `label`, as Hugging Face has ImageNet."""
    paths = sorted(folder.glob("*.parquet"))
    chosen = [path for path in paths if "val" in path.name] or paths
    if not chosen:
        return None
    rows = parquet_rows.read(chosen)
    present = np.unique(rows.labels).tolist()
    many = len(present) > _MOST
    if "val" in chosen[0].name and (many or len(rows.labels) == ground_truth.IMAGES):
        whole = ground_truth.IMAGES
        return ValidationSet(IMAGENET, rows.names, rows.labels, rows.contents, whole)
    return ValidationSet(
        *(_named(root), rows.names, rows.labels, rows.contents, len(rows.labels)),
        tuple(range(synsets.COUNT)) if many else tuple(present),
    )


_LAYOUTS = (_in_parquet, _flat, _by_id, _by_number)


def _in_classes(
    folder: Path, classes: Iterable[str], number: Callable[[str], int]
) -> ValidationSet:
    labels = {
        f"{name}/{file}": number(name)
        for name in classes
        for file in image_folders.files(folder / name)
        if Path(file).suffix.lower() in ENDINGS
    }
    if not labels:
        raise DataError("folders of classes without images", some([str(folder)]), LAYOUT)
    names = sorted(labels)
    numbers = np.array([labels[name] for name in names], np.int32)
    return ValidationSet("", tuple(names), numbers, _files(folder, names), len(names))


def _files(folder: Path, names: Sequence[str]) -> Callable[[Sequence[int]], Iterator[Content]]:
    def contents(positions: Sequence[int]) -> Iterator[Content]:
        return (folder / names[position] for position in positions)

    return contents


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def _number(name: str) -> int:
    match = _VALIDATION.search(name)
    assert match is not None
    return int(match[1])


def lacking(images: ValidationSet) -> str:
    """How many of the 50,000 images there are and which are missing; "" where none is."""
    if images.name != IMAGENET or len(images.names) == images.whole:
        return ""
    numbered = [_number(name) for name in images.names if _VALIDATION.search(name)]
    missing = sorted(set(range(1, images.whole + 1)) - set(numbered)) if numbered else []
    named = [f"ILSVRC2012_val_{number:08}" for number in missing]
    return f"{len(images.names):,}" + (f"; {some(named)} missing" if named else "")


def _complete(images: ValidationSet) -> None:
    """Makes sure that each of the 50,000 images is there once.

    Raises:
        DataError: one is not.
    """
    if received := lacking(images):
        hint = "complete them, or score a part of them with --limit"
        raise DataError(f"the validation images are {images.whole:,}", received, hint)


def _what(root: Path) -> str:
    folders = _folders(root)
    inside = f"folders {some(folders)}" if folders else "no folders"
    return f"{some([str(root)])} holds {inside}"
