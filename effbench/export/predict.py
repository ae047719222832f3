"""Classes of images in files, by an exported model alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from effbench.errors import DataError
from effbench.export import formats

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


def predict(model: Path, images: Sequence[Path]) -> list[Prediction | DataError]:
    """Classifies each image, or says what is wrong with it.

    Args:
        model: what `effbench export` wrote, in any format.
        images: files that Pillow opens.

    Raises:
        EffbenchError: there is no such model.
    """
    classify = formats.read(model)
    return [_one(classify, path) for path in images]


def _one(classify: formats.Classify, path: Path) -> Prediction | DataError:
    try:
        probabilities = classify(pixels(path))
    except DataError as error:
        return error
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    return Prediction(path, tuple(ranked[:TOP]))


def pixels(path: Path) -> np.ndarray:
    """An image as it is meant to be seen: uint8 [h, w, 3], RGB, turned as its EXIF says.

    Of several frames it is the first; transparency is ignored.

    Raises:
        DataError: it cannot be read, is too large for Pillow, or has more than 8 bits a channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
                if upright.mode[0] in "IF":  # Pillow would clip what is above 255
                    hint = "save it with 8 bits a channel"
                    raise DataError(f"cannot use {path}", f"mode {upright.mode}", hint)
                return np.asarray(upright.convert("RGB"))
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"cannot use {path}", str(error), "make the image smaller") from error
    # Pillow's many readers raise whatever they happen to hit in a broken file.
    except Exception as error:
        hint = "give the file of an image, such as PNG or JPEG"
        raise DataError(
            f"cannot read {path}",
            getattr(error, "strerror", None) or str(error) or type(error).__name__,
            hint,
        ) from error
