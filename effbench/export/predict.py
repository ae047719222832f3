"""Classes of images in files and folders, by an exported model alone, as they are read."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.cpu import cores
from effbench.data import image_folders
from effbench.data.decoding import ENDINGS, FORMATS, UnreadableImageError, decode
from effbench.data.decoding_tasks import content
from effbench.data.listing import printable
from effbench.errors import DataError
from effbench.export import formats
from effbench.export.formats import Classify
from effbench.progress import Report, Step, silent

TOP = 5


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of an image.

    Attributes:
        image: its file.
        top: at most five names of classes with their probabilities, 0 to 1, the likeliest first.
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
    model: Path, images: Sequence[Path], report: Report = silent
) -> Iterator[Prediction | PassedOver | DataError]:
    """Classifies each image, or says what is wrong with it, one after the other in their order.

    A folder stands for the images in it and in all folders within it, by their names. Hidden files
    and folders are passed over without a word.

    Args:
        model: what `effbench export` wrote, in any format.
        images: files of images, and folders.
        report: told of the progress, in files.

    Raises:
        EffbenchError: there is no such model.
        DataError: a folder is empty or cannot be read.
    """
    classify = formats.read(model)
    return _outcomes(classify, [file for path in images for file in _files(path)], report)


def _files(path: Path) -> Iterator[_File]:
    if not path.is_dir():
        yield _File(path, meant=True)
        return
    names = image_folders.files(path)
    if not names:
        raise DataError("a folder without files", printable(str(path)), "name one with images")
    for name in names:
        file = path / name
        yield _File(file, file.suffix.lower() in ENDINGS)


def _outcomes(
    classify: Classify, files: Sequence[_File], report: Report
) -> Iterator[Prediction | PassedOver | DataError]:
    for done, image in enumerate(_decoded(files), 1):
        if image.pixels is not None:
            # One at a time: many at once are no faster, and each would depend on those beside it,
            # in the last digits.
            ranked = sorted(classify(image.pixels).items(), key=lambda item: -item[1])
            yield Prediction(image.file.path, tuple(ranked[:TOP]))
        elif image.file.meant:
            rule = f"cannot read {printable(str(image.file.path))}"
            hint = "give the file of an image, such as PNG or JPEG"
            yield DataError(rule, image.problem, hint)
        else:
            yield PassedOver(image.file.path)
        report(Step("predict", done, len(files), "files"))


def _decoded(files: Iterable[_File]) -> Iterator[_Decoded]:
    """The files in their order, of which only a few are in memory."""
    ahead = 2 * cores()
    waiting: deque[Future[_Decoded]] = deque()
    # Decoders turn warnings off and on again, all threads at once: here they are off throughout.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(cores()) as threads:
        for file in files:
            waiting.append(threads.submit(_read, file))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read(file: _File) -> _Decoded:
    try:
        return _Decoded(file, pixels(file.path))
    except UnreadableImageError as error:
        return _Decoded(file, problem=str(error))


def pixels(path: Path) -> np.ndarray:
    """An image as those are that a model trains on, see `decoding.decode`: uint8 [h, w, 3], RGB.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    return np.asarray(decode(content(str(path)), (*FORMATS, "TIFF")).image)
