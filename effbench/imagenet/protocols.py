"""How the published ImageNet accuracy of each release was measured, and what came out.

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

    def described(self, *sizes: int) -> str:
        """The protocol in words, for images of these sizes, pixels in ascending order."""
        if self.margin is None:
            return f"squashed, {self.filter}"
        crops = dict.fromkeys(f"{size / (size + self.margin):.3f}" for size in sizes)
        return f"crop {' to '.join([*crops][:: max(len(crops) - 1, 1)])}, {self.filter}"


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


@dataclass(frozen=True)
class PublishedTop1:
    """How the figure of a release was measured by those who published it, and the figure.

    Attributes:
        protocol: name of a row of `PROTOCOLS`.
        image_size: pixels: the network's own, but for T.
        top1: percent; None where the release has no figure.
        source: who says so.
        doubt: why the figure may be of other weights or values than the package's, or "".
    """

    protocol: str
    image_size: int
    top1: float | None
    source: str
    doubt: str = ""


_AUTOML = "google/automl, efficientnetv2/README.md"
_TPU = "tensorflow/tpu, models/official/efficientnet/README.md"
ADVPROP = (
    "V1's figures of imagenet are of AdvProp's checkpoints, whose pixels become -1 to 1 "
    "(--advprop_preprocessing); keras-efficientnet-v2 rescales its files by ImageNet's mean and "
    "standard deviation and does not say which checkpoints they are, so a lower score may be due "
    "to that"
)
_SMALL = ("B0", "B1", "B2", "B3")
# L2 has no release "imagenet"; a network that is added has no figure until it has one here.
_V1 = tuple(name for name, row in VARIANTS.items() if row.family == "v1")


def _published(
    release: str,
    protocol: str,
    source: str,
    figures: Mapping[str, float | None],
    size: int | None = None,
    doubt: str = "",
) -> dict[tuple[str, str], PublishedTop1]:
    sizes = {name: size or VARIANTS[name].image_size for name in figures}
    return {
        (name, release): PublishedTop1(protocol, sizes[name], top1, source, doubt)
        for name, top1 in figures.items()
    }


# By variant and release, for all that have the 1,000 classes of ImageNet. A figure is judged by
# nothing but the protocol and the size that stand beside it.
_OF_RELEASE: Mapping[tuple[str, str], PublishedTop1] = {
    # Trained with the augmentation of EfficientNetV1, and evaluated as it was.
    **_published(
        *("imagenet", "crop-bicubic", _AUTOML),
        dict(zip(_SMALL, (78.7, 79.8, 80.5, 82.1), strict=True)),
    ),
    # Of 320 pixels, the network's own, there is only what keras-efficientnet-v2 tested itself, in
    # a way that its README calls not clear: 82.506.
    **_published(
        *("imagenet", "timm", "huggingface/pytorch-image-models, efficientnetv2_rw_t"),
        {"T": 82.3},
        288,
    ),
    **_published("imagenet", "squash", _AUTOML, {"S": 83.9, "M": 85.2, "L": 85.7}),
    # `ImagenetFt`, whose augmentation is "ft".
    **_published(
        *("imagenet21k-ft1k", "squash", _AUTOML),
        {**dict.fromkeys(_SMALL), "S": 84.9, "M": 86.2, "L": 86.9, "XL": 87.2},
    ),
    # models/official/efficientnet/preprocessing.py: the same legacy code.
    **_published(
        *("imagenet", "crop-bicubic", f"{_TPU}, AutoAugment and AdvProp"),
        dict(zip(_V1, (77.6, 79.6, 80.5, 81.9, 83.3, 84.3, 84.8, 85.2), strict=False)),
        doubt=ADVPROP,
    ),
    **_published(
        *("noisy_student", "crop-bicubic", f"{_TPU}, Noisy Student"),
        dict(zip(_V1, (78.8, 81.5, 82.4, 84.1, 85.3, 86.1, 86.4, 86.9, 88.4), strict=False)),
    ),
}


def scored(variant: str) -> tuple[str, ...]:
    """The releases of a variant that have ImageNet's classes."""
    return tuple(release for name, release in _OF_RELEASE if name == variant)


def published(variant: str, release: str) -> PublishedTop1 | None:
    """How a release was measured, and its figure; None for weights that are none of these."""
    return _OF_RELEASE.get((variant, release))


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
    figure = published(variant, release)
    if figure is None:
        raise UsageError(
            f"no protocol was published for these weights of {variant}",
            release,
            f"name one with --protocol: {', '.join(PROTOCOLS)}",
        )
    return PROTOCOLS[figure.protocol]
