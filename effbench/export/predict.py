"""Classes of images in files and folders, by an exported model alone, as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.data import image_folders
from effbench.data.decoding import ENDINGS, UnreadableImageError
from effbench.data.listing import printable
from effbench.errors import DataError, UsageError
from effbench.export import explain, formats
from effbench.export.images import ahead, pixels
from effbench.export.opened import OpenModel
from effbench.progress import Report, Step, silent

TOP = 5


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of an image.

    Attributes:
        image: its file.
        top: names of classes with their probabilities, 0 to 1, the likeliest first.
    """

    image: Path
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PassedOver:
    """A file in a folder that neither is an image nor is named like one."""

    path: Path


@dataclass(frozen=True)
class _File:
    """A file, and whether it must be an image: if it was named, or is called like one."""

    path: Path
    meant: bool


@dataclass(frozen=True)
class _Decoded:
    """A file's pixels, uint8 [h, w, 3], or what is wrong with it."""

    file: _File
    pixels: np.ndarray | None = None
    problem: str = ""


def predict(
    model: Path,
    images: Sequence[Path],
    report: Report = silent,
    top: int = TOP,
    explained: bool = False,
) -> Iterator[Prediction | PassedOver | DataError]:
    """Classifies each image, or says what is wrong with it, one after the other in their order.

    A folder stands for the images in it and in all folders within it, by their names. Hidden files
    and folders are passed over without a word.

    Args:
        model: what `effbench export` wrote, in any format.
        images: files of images, folders, and patterns of their names.
        report: told of the progress, in files.
        top: how many classes at most.
        explained: whether to write beside each image where the likeliest class is seen in it.

    Raises:
        EffbenchError: there is no such model.
        UsageError: its format cannot explain.
        DataError: a folder is empty or cannot be read.
    """
    opened = formats.read(model)
    if explained and opened.explain is None:
        raise UsageError("--explain is for keras and keras2", str(model), "export one of these")
    files = [file for path in images for file in _files(path)]
    return _outcomes(opened, files, report, top, explained)


def _files(path: Path) -> Iterator[_File]:
    if not path.exists() and (matches := _matches(path)):
        for match in matches:
            yield from _files(Path(match))
        return
    if not path.is_dir():
        yield _File(path, meant=True)
        return
    names = image_folders.files(path)
    if not names:
        raise DataError("a folder without files", printable(str(path)), "name one with images")
    for name in names:
        file = path / name
        if file.name.endswith(explain.ENDING):
            continue
        yield _File(file, file.suffix.lower() in ENDINGS)


def _matches(pattern: Path) -> list[Path]:
    """The files whose names match a pattern."""
    root = Path(pattern.anchor)
    parts = str(pattern.relative_to(root) if pattern.anchor else pattern)
    return sorted(root.glob(parts)) if set(parts) & set("*?[") else []


def _outcomes(
    model: OpenModel, files: Sequence[_File], report: Report, top: int, explained: bool
) -> Iterator[Prediction | PassedOver | DataError]:
    for done, image in enumerate(_decoded(files), 1):
        if image.pixels is not None:
            # One at a time: many at once are no faster, and each would depend on those beside it,
            # in the last digits.
            ranked = sorted(model.classify(image.pixels).items(), key=lambda item: -item[1])
            if explained and model.explain:
                number = model.names.index(ranked[0][0])
                explain.write(model.explain, image.pixels, number, image.file.path)
            yield Prediction(image.file.path, tuple(ranked[:top]))
        elif image.file.meant:
            rule = f"cannot read {printable(str(image.file.path))}"
            hint = "give the file of an image, such as PNG or JPEG"
            yield DataError(rule, image.problem, hint)
        else:
            yield PassedOver(image.file.path)
        report(Step("predict", done, len(files), "files"))


def _decoded(files: Iterable[_File]) -> Iterator[_Decoded]:
    """The files in their order, of which only a few are in memory."""
    return ahead(_read, files)


def _read(file: _File) -> _Decoded:
    try:
        return _Decoded(file, pixels(file.path))
    except UnreadableImageError as error:
        return _Decoded(file, problem=str(error))
