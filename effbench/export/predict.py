"""Classes of images in files and folders, by an exported model alone, as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.data import image_folders
from effbench.data.inspecting.listing import printable
from effbench.data.pixels.decoding import ENDINGS, UnreadableImageError
from effbench.errors import DataError, UsageError
from effbench.export import explain, formats, hub_folder
from effbench.export.images import BATCH, MOST_BYTES, ahead, pixels
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
    batch_size: int = BATCH,
) -> Iterator[Prediction | PassedOver | DataError]:
    """Classifies each image, or says what is wrong with it, one after the other in their order.

    The model is asked for images of one shape together, among as many as a batch has; what comes
    out of it is the same to float32's last digits as for each alone.

    A folder stands for the images in it and in all folders within it, by their names. Hidden files
    and folders are passed over without a word.

    Args:
        model: what `effbench export` wrote, in any format.
        images: files of images, folders, and patterns of their names.
        report: told of the progress, in files.
        top: how many classes at most.
        explained: whether to write beside each image where the likeliest class is seen in it.
        batch_size: how many images are held at most, and fewer of large ones.

    Raises:
        EffbenchError: there is no such model.
        UsageError: its format cannot explain.
        DataError: a folder is empty or cannot be read.
    """
    opened = formats.read(hub_folder.model_in(model))
    if explained and opened.explain is None:
        raise UsageError("--explain is for keras and keras2", str(model), "export one of these")
    files = [file for path in images for file in _files(path)]
    return _outcomes(opened, files, report, top, explained, batch_size)


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
    model: OpenModel,
    files: Sequence[_File],
    report: Report,
    top: int,
    explained: bool,
    batch_size: int,
) -> Iterator[Prediction | PassedOver | DataError]:
    for done, (image, scores) in enumerate(_scored(model, _decoded(files), batch_size), 1):
        if image.pixels is not None and scores is not None:
            ranked = [int(number) for number in np.argsort(-scores, kind="stable")[:top]]
            if explained and model.explain:
                explain.write(model.explain, image.pixels, ranked[0], image.file.path)
            best = tuple((model.names[number], float(scores[number])) for number in ranked)
            yield Prediction(image.file.path, best)
        elif image.file.meant:
            rule = f"cannot read {printable(str(image.file.path))}"
            hint = "give the file of an image, such as PNG or JPEG"
            yield DataError(rule, image.problem, hint)
        else:
            yield PassedOver(image.file.path)
        report(Step("predict", done, len(files), "files"))


def _scored(
    model: OpenModel, images: Iterable[_Decoded], batch_size: int
) -> Iterator[tuple[_Decoded, np.ndarray | None]]:
    """The images in their order, those that could be read with their probabilities [classes]."""
    for batch in _batches(images, batch_size):
        alike: dict[tuple[int, ...], dict[int, np.ndarray]] = {}
        for position, image in enumerate(batch):
            if image.pixels is not None:
                fitted = model.fitted(image.pixels)
                alike.setdefault(fitted.shape, {})[position] = fitted
        scores: dict[int, np.ndarray] = {}
        for group in alike.values():
            scores.update(zip(group, model.scores(np.stack([*group.values()])), strict=True))
        for position, image in enumerate(batch):
            yield image, scores.get(position)


def _batches(images: Iterable[_Decoded], batch_size: int) -> Iterator[list[_Decoded]]:
    """The images in their order, until they are as many as a batch has, or large."""
    batch: list[_Decoded] = []
    held = 0
    for image in images:
        batch.append(image)
        held += 0 if image.pixels is None else image.pixels.nbytes
        if len(batch) >= batch_size or held >= MOST_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _decoded(files: Iterable[_File]) -> Iterator[_Decoded]:
    """The files in their order, of which only a few are in memory."""
    return ahead(_read, files)


def _read(file: _File) -> _Decoded:
    try:
        return _Decoded(file, pixels(file.path))
    except UnreadableImageError as error:
        return _Decoded(file, problem=str(error))
