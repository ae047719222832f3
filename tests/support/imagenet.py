"""Small sets in the layouts of ImageNet, made for tests."""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy.io import savemat
from support.records import released

from effbench.imagenet import protocols, synsets
from effbench.imagenet.imagenet_records import ImagenetRecord, ScoringSpec
from effbench.records.record import Provenance
from effbench.records.scores import Scores

# The devkit's numbers of classes, less 1, are in an order of their own, as the true one's are.
ORDER = np.random.default_rng(3).permutation(synsets.COUNT)


def devkit(folder: Path, labels: Sequence[int]) -> Path:
    """A devkit.

    Args:
        folder: where its folder is made.
        labels: of the images from the first on, in the order of `synsets`.

    Returns:
        The file of the answers.
    """
    data = folder / "ILSVRC2012_devkit_t12/data"
    data.mkdir(parents=True)
    (data / "meta.mat").write_bytes(_meta())
    numbers = np.argsort(ORDER)[np.array(labels)] + 1
    answers = data / "ILSVRC2012_validation_ground_truth.txt"
    answers.write_text("".join(f"{number}\n" for number in numbers))
    return answers


@cache
def _meta() -> bytes:
    kinds = [("ILSVRC2012_ID", object), ("WNID", object)]
    rows = [(place + 1, synsets.synsets()[number]) for place, number in enumerate(ORDER)]
    rows.append((synsets.COUNT + 1, "n00000001"))  # a group of classes
    file = io.BytesIO()
    savemat(file, {"synsets": np.array(rows, kinds)})
    return file.getvalue()


def file_name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08}.JPEG"


def record(correct: int, *, variant: str = "B0", data: str = "imagenet") -> ImagenetRecord:
    """All 50,000 images, so many of them right, by the protocol of the release."""
    figure = protocols.published(variant, "imagenet")
    assert figure is not None
    protocol, size = figure.protocol, figure.image_size
    spec = ScoringSpec(
        *(variant, released(variant, "imagenet"), size, "float32", protocol, data, "x", None, 1000)
    )
    made = Provenance(*("", "", "", "", "cpu", "", 1, 50_000, 0, 1, 0, {}, ""))
    scores = Scores(correct, correct, 50_000, 1.0)
    return ImagenetRecord(1, spec, True, 50_000, scores, "", 1.0, made)
