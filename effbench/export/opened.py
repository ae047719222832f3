"""A model that was read from a file, whatever its format: names, and images to probabilities."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effbench.config.geometry import Geometry
from effbench.export.explain import Explain

# Where models of TensorFlow Lite have the names of their classes, one a line: in a zip archive
# behind the model (tensorflow.org/lite/models/convert/metadata). A .keras file is one itself.
LABELS = "labels.txt"

# From images, uint8 [n, h, w, 3], to the probability of each class, float32 [n, classes].
Scores = Callable[[np.ndarray], np.ndarray]


# How an image becomes a square where nothing else is said.
SQUASH = Geometry()


@dataclass(frozen=True)
class OpenModel:
    """What can be asked of it.

    Attributes:
        names: those of the classes, in their order.
        scores: its function; of images of any size, or of `side`.
        runtime: what runs it, with its version.
        side: height and width of the only images that it takes; None where these are free.
        geometry: how others become such a square.
        explain: shows where in an image it sees a class; None where its format cannot.
    """

    names: tuple[str, ...]
    scores: Scores
    runtime: str
    side: int | None = None
    geometry: Geometry = SQUASH
    explain: Explain | None = None

    def classify(self, image: np.ndarray) -> dict[str, float]:
        """The probability of each class by its name, of an image: uint8 [h, w, 3], of any size."""
        (scores,) = self.scores(self.fitted(image)[None])
        return dict(zip(self.names, map(float, scores), strict=True))

    def fitted(self, image: np.ndarray) -> np.ndarray:
        """An image as the model takes it."""
        if self.side is None or image.shape[:2] == (self.side, self.side):
            return image
        from PIL import Image

        from effbench.data.pixels.fitting import fitted

        return fitted(Image.fromarray(image), self.side, self.geometry)


def lines(names: Sequence[str]) -> str:
    """The names of classes, a line each."""
    return "\n".join(names) + "\n"


def append(path: Path, name: str, text: str) -> None:
    """Adds a file to a zip archive, or makes one behind a file.

    It has no time, so that the same model is the same bytes.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), text)


def append_labels(names: Sequence[str], path: Path) -> None:
    """Adds the names to a zip archive, or makes one behind a file."""
    append(path, LABELS, lines(names))


def labels(path: Path) -> tuple[str, ...]:
    """The names in a zip archive, or in one behind a file."""
    with zipfile.ZipFile(path) as archive:
        return tuple(archive.read(LABELS).decode().splitlines())
