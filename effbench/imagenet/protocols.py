"""How the published ImageNet accuracy of each release was measured.

An image is cut or squashed to a square and resized to the network's own size; the rescaling of
values is the release's. `squares` has the arithmetic of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from effbench.config.variants import VARIANTS
from effbench.errors import UsageError

# What stands for the protocol of each release in a list of them.
OWN = "published"


@dataclass(frozen=True)
class Protocol:
    """One way from an image to a square.

    Attributes:
        name: what the command line calls it.
        margin: the square in the middle is size / (size + margin) of the shorter side; 0 is all of
            it, and None squashes the image.
        filter: how its pixels are resized, and whether they are averaged where it shrinks.
        source: where it comes from.
    """

    name: str
    margin: int | None
    filter: str
    source: str

    def described(self, size: int) -> str:
        """The protocol in words, for images of `size` pixels."""
        if self.margin is None:
            return f"squashed, {self.filter}"
        return f"crop {size / (size + self.margin):.3f}, {self.filter}"


PROTOCOLS: Mapping[str, Protocol] = {
    row.name: row
    for row in (
        Protocol(
            "crop-bicubic",
            32,
            "bicubic of TensorFlow 1, not antialiased",
            "google/automl, efficientnetv2/preprocess_legacy.py",
        ),
        Protocol(
            "crop",
            32,
            "bilinear, not antialiased",
            "google/automl, efficientnetv2/preprocessing.py, below 320 pixels",
        ),
        Protocol(
            "squash",
            None,
            "bilinear, not antialiased",
            "google/automl, efficientnetv2/preprocessing.py, from 320 pixels, and to fine-tune",
        ),
        Protocol(
            "timm",
            0,
            "bicubic, antialiased by Pillow",
            "huggingface/pytorch-image-models, crop_pct 1.0",
        ),
    )
}

# By variant and release, for all that have the 1,000 classes of ImageNet.
_OF_RELEASE: Mapping[tuple[str, str], str] = {
    # Trained with the augmentation of EfficientNetV1, and evaluated as it was.
    ("B0", "imagenet"): "crop-bicubic",
    ("B1", "imagenet"): "crop-bicubic",
    ("B2", "imagenet"): "crop-bicubic",
    ("B3", "imagenet"): "crop-bicubic",
    ("T", "imagenet"): "timm",
    ("S", "imagenet"): "squash",
    ("M", "imagenet"): "squash",
    ("L", "imagenet"): "squash",
    # `ImagenetFt`, whose augmentation is "ft".
    ("B0", "imagenet21k-ft1k"): "squash",
    ("B1", "imagenet21k-ft1k"): "squash",
    ("B2", "imagenet21k-ft1k"): "squash",
    ("B3", "imagenet21k-ft1k"): "squash",
    ("S", "imagenet21k-ft1k"): "squash",
    ("M", "imagenet21k-ft1k"): "squash",
    ("L", "imagenet21k-ft1k"): "squash",
    ("XL", "imagenet21k-ft1k"): "squash",
    # tensorflow/tpu, models/official/efficientnet/preprocessing.py: the same legacy code.
    **{
        (name, release): "crop-bicubic"
        for name, row in VARIANTS.items()
        for release in row.releases
        if row.family == "v1"
    },
}


def scored(variant: str) -> tuple[str, ...]:
    """The releases of a variant that have ImageNet's classes."""
    return tuple(release for name, release in _OF_RELEASE if name == variant)


def of(variant: str, release: str, asked: str = OWN) -> Protocol:
    """The protocol that is asked for; of a release its own.

    Raises:
        UsageError: there is no such protocol, or none was published for these weights.
    """
    if asked != OWN:
        if asked not in PROTOCOLS:
            choices = ", ".join((OWN, *PROTOCOLS))
            raise UsageError("unknown protocol", asked, f"choose from {choices}")
        return PROTOCOLS[asked]
    if (variant, release) not in _OF_RELEASE:
        raise UsageError(
            f"no protocol was published for these weights of {variant}",
            release,
            f"name one with --protocol: {', '.join(PROTOCOLS)}",
        )
    return PROTOCOLS[_OF_RELEASE[variant, release]]
