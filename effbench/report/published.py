"""Published numbers, shipped as CSV with the package, and what is known to be wrong with them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from itertools import groupby
from typing import Annotated, Generic, TypeVar, get_args, get_type_hints

from effbench.imagenet.protocols import ADVPROP

CASE_STUDY_DATA = "cifar10"
# A name in `scores.SELECTIONS`.
CASE_STUDY_RULE = "val_loss"

# Percentage points of validation accuracy that the chosen epoch may lack: at 90 % of 5,000 images
# the standard error is 0.42, so twice that may be chance.
SELECTION_GAP = 1.0

Pixels = Annotated[int, "pixels"]
Percent = Annotated[float, "percent"]
Fraction = Annotated[float, "0 to 1"]
CrossEntropy = Annotated[float, "nats"]


@dataclass(frozen=True)
class CaseStudyResult:
    """A network's row in the case study's table, at the epoch of the lowest validation loss."""

    variant: str
    image_size: Pixels
    val_accuracy: Percent
    val_top5_accuracy: Percent
    test_accuracy: Percent
    weights: str
    source: str


@dataclass(frozen=True)
class PublishedEpoch:
    """One epoch of a network in the case study; the first is 1."""

    variant: str
    epoch: int
    loss: CrossEntropy
    accuracy: Fraction
    top5_accuracy: Fraction
    val_loss: CrossEntropy
    val_accuracy: Fraction
    val_top5_accuracy: Fraction
    source: str


@dataclass(frozen=True)
class ImagenetResult:
    """ImageNet accuracy of a release; `reported_top1` is by those who trained it."""

    variant: str
    weights: str
    image_size: Pixels
    rescale_mode: str
    central_crop: Fraction
    top1: Percent
    top5: Percent
    reported_top1: Percent
    source: str


@dataclass(frozen=True)
class ReportedTop1:
    """ImageNet accuracy of a release, as those report it who trained it."""

    variant: str
    weights: str
    image_size: Pixels
    top1: Percent
    source: str


@dataclass(frozen=True)
class TransferResult:
    """Test accuracy of a whole network, fine-tuned: mean and standard deviation over runs."""

    variant: str
    dataset: str
    accuracy_mean: Percent
    accuracy_std: Percent
    source: str


@dataclass(frozen=True)
class WholeTraining:
    """Accuracy of a whole network that was trained by a recipe which effbench has, too."""

    variant: str
    dataset: str
    epochs: int
    accuracy: Percent
    source: str


@dataclass(frozen=True)
class TrainingSettings:
    """How a network was trained on ImageNet by its authors."""

    variant: str
    train_size: Pixels
    eval_size: Pixels
    dropout: Fraction
    randaug_magnitude: int
    mixup_alpha: float
    augmentation: str
    source: str


@dataclass(frozen=True)
class PaperTraining:
    """What a network takes by the paper, trained on ImageNet alone."""

    variant: str
    top1: Percent
    parameters_m: Annotated[float, "millions"]
    flops_b: Annotated[float, "billions"]
    inference_ms: Annotated[float, "ms"]
    train_hours: Annotated[float, "hours"]
    source: str


@dataclass(frozen=True)
class Flaw:
    """Why a published figure is not what it seems.

    Attributes:
        kind: "selection" or "shared optimizer".
        text: one line, with the figures that show it.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class PublishedColumn:
    """A column of a table: its name, what turns a cell into its value, and a unit or ""."""

    name: str
    parse: Callable[[str], str | int | float]
    unit: str


PublishedRow = (
    CaseStudyResult
    | PublishedEpoch
    | ImagenetResult
    | ReportedTop1
    | TransferResult
    | WholeTraining
    | TrainingSettings
    | PaperTraining
)
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class Published(Generic[R_co]):
    """A published table.

    Attributes:
        name: what the command line calls it.
        file: its CSV in the folder `reference` beside this file.
        title: what its figures are.
        row: the dataclass of its rows; the fields are the file's columns.
        recipes: the recipes of effbench whose results may stand beside it.
        notes: what holds for every row, one line each.
        find_flaws: what is wrong with single rows, by variant.
    """

    name: str
    file: str
    title: str
    row: Callable[..., R_co]
    recipes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    find_flaws: Callable[[], Mapping[str, tuple[Flaw, ...]]] = dict

    @property
    def columns(self) -> tuple[PublishedColumn, ...]:
        """The columns in the order of the file."""
        hints = get_type_hints(self.row, include_extras=True)
        return tuple(
            PublishedColumn(name, *(get_args(hint) or (hint, ""))) for name, hint in hints.items()
        )

    @cached_property
    def text(self) -> str:
        """The content of the CSV file."""
        return files("effbench").joinpath("report", "reference", self.file).read_text("utf-8")

    @property
    def cells(self) -> list[list[str]]:
        """The rows as they were published, with every digit."""
        return list(csv.reader(self.text.splitlines()))[1:]

    @cached_property
    def rows(self) -> tuple[R_co, ...]:
        """The rows with numbers as numbers."""
        parsers = [column.parse for column in self.columns]
        return tuple(
            self.row(*(parse(cell) for parse, cell in zip(parsers, cells, strict=True)))
            for cells in self.cells
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the figures come from."""
        return tuple(dict.fromkeys(cells[-1] for cells in self.cells))


def flaws() -> dict[str, tuple[Flaw, ...]]:
    """What the case study's own curves show to be wrong with its rows, for every variant."""
    return {
        variant: tuple(filter(None, (_selection(epochs), _shared_optimizer(epochs))))
        for variant, epochs in case_study_curves().items()
    }


def _selection(epochs: Sequence[PublishedEpoch]) -> Flaw | None:
    """The flaw that the epoch of the lowest validation loss is not a good one; None without it."""
    chosen = min(epochs, key=lambda epoch: epoch.val_loss)
    best = max(epochs, key=lambda epoch: epoch.val_accuracy)
    if 100 * (best.val_accuracy - chosen.val_accuracy) < SELECTION_GAP:
        return None
    return Flaw(
        "selection",
        f"epoch {chosen.epoch} of {len(epochs)} was chosen, by its validation loss, with "
        f"validation accuracy {100 * chosen.val_accuracy:.2f}; epoch {best.epoch} has "
        f"{100 * best.val_accuracy:.2f}",
    )


def _shared_optimizer(epochs: Sequence[PublishedEpoch]) -> Flaw | None:
    """The flaw that the loss does not rise where a run from step 0 peaks first; None without it."""
    before, after = epochs[1].loss, epochs[2].loss
    if after > before:
        return None
    return Flaw(
        "shared optimizer",
        f"training loss falls from epoch 2 to 3 ({before:.4f} to {after:.4f}), where runs from "
        "step 0 rise: the optimizer went on from another run, at a learning rate already halved",
    )


CASE_STUDY = Published(
    "case-study",
    "case_study_results.csv",
    "CIFAR-10, the head trained on a frozen backbone",
    CaseStudyResult,
    ("case-study", "case-study-2021"),
    (
        "every row: images were rescaled to (x/255 - mean) / sqrt(std), a mistake of "
        "keras-efficientnet-v2 1.1, mended in January 2022; it halves the contrast that B0 to B3 "
        "and T expect, and is close to what S to XL expect",
    ),
    flaws,
)
CURVES = Published(
    "case-study-curves",
    "case_study_curves.csv",
    "every epoch of the case study",
    PublishedEpoch,
    CASE_STUDY.recipes,
    CASE_STUDY.notes,
    flaws,
)
IMAGENET = Published(
    "imagenet",
    "imagenet_results.csv",
    "ImageNet, as tested with keras-efficientnet-v2",
    ImagenetResult,
    notes=(
        "images were resized bicubically",
        "reported_top1 is by those who trained the weights; for T, at 288 pixels",
        "central_crop, top1 and top5 are of the package's own test: 'effbench imagenet' judges by "
        "reported_top1, which belongs to the protocol that it scores by",
    ),
)
IMAGENET_V1 = Published(
    "imagenet-v1",
    "imagenet_v1_results.csv",
    "ImageNet, EfficientNetV1 as its authors report it",
    ReportedTop1,
    notes=(
        "imagenet: AutoAugment and AdvProp; noisy_student: 300 million unlabelled images beside "
        "ImageNet (arXiv:1911.04252)",
        ADVPROP,
    ),
)
PAPER_TRANSFER = Published(
    "paper",
    "paper_transfer_results.csv",
    "whole networks fine-tuned from ImageNet weights",
    TransferResult,
    notes=("mean and standard deviation of five runs",),
)
AUTOML = Published(
    "automl",
    "automl_results.csv",
    "fine-tuned in google/automl's notebook",
    WholeTraining,
    notes=("one run, looked at on the test images",),
)
COMPOSER = Published(
    "composer",
    "composer_results.csv",
    "trained from random weights by MosaicML's Composer",
    WholeTraining,
    notes=("top-1 of ImageNet's validation images; 23.3 hours on eight RTX 3080",),
)
PAPER_TRAINING = Published(
    "paper-training",
    "paper_training.csv",
    "training and inference by the paper's own measure",
    PaperTraining,
    notes=(
        "trained on 32 TPUv3 cores; inference of 16 images on a V100, 16 bits",
        "S, M and L were trained by progressive learning",
        "written down without the paper at hand: compare with its table 7 before you cite them",
    ),
)
TABLES: Mapping[str, Published[PublishedRow]] = {
    table.name: table
    for table in (
        CASE_STUDY,
        CURVES,
        IMAGENET,
        IMAGENET_V1,
        PAPER_TRANSFER,
        AUTOML,
        COMPOSER,
        Published(
            "training-settings",
            "training_settings.csv",
            "how the released weights were trained on ImageNet",
            TrainingSettings,
            notes=("autoaugment-v1 is effnetv1_autoaug in the source",),
        ),
        PAPER_TRAINING,
    )
}


@cache
def case_study() -> dict[tuple[str, int, str], CaseStudyResult]:
    """The case study's results, by variant, image size and weights."""
    return {(row.variant, row.image_size, row.weights): row for row in CASE_STUDY.rows}


@cache
def imagenet() -> dict[tuple[str, str], ImagenetResult | ReportedTop1]:
    """ImageNet accuracies by variant and release."""
    rows: tuple[ImagenetResult | ReportedTop1, ...] = (*IMAGENET.rows, *IMAGENET_V1.rows)
    return {(row.variant, row.weights): row for row in rows}


@cache
def case_study_curves() -> dict[str, tuple[PublishedEpoch, ...]]:
    """The case study's epochs in their order, by variant."""
    groups = groupby(CURVES.rows, key=lambda epoch: epoch.variant)
    return {variant: tuple(epochs) for variant, epochs in groups}
