"""Whether a published ImageNet accuracy comes out here."""

from __future__ import annotations

from dataclasses import dataclass

from effbench.imagenet import protocols
from effbench.imagenet.imagenet_records import ImagenetRecord
from effbench.imagenet.validation_sets import IMAGENET
from effbench.report.published import ImagenetResult, imagenet
from effbench.report.statistics import wilson

# Half of the last digit in which accuracies were published, percentage points.
ROUNDING = 0.05


@dataclass(frozen=True)
class Reproduction:
    """A measured accuracy beside the published one.

    Attributes:
        low: of the 95 % interval of the measured top-1 over images (Wilson), percent.
        high: the other end.
        published: the published top-1 of the release, percent; None where there is none, or it is
            of other images.
        published_top5: as keras-efficientnet-v2 tested the release, by a protocol of its own, so
            that it is set beside ours and not judged; None where there is none.
        marks: what keeps the measured one from being comparable.
    """

    low: float
    high: float
    published: float | None
    published_top5: float | None
    marks: tuple[str, ...]

    @property
    def answer(self) -> str:
        """Whether it is reproduced, or ours is another; "" where that cannot be said."""
        if self.published is None or self.marks:
            return ""
        if self.published + ROUNDING < self.low:
            return "no: higher"
        if self.published - ROUNDING > self.high:
            return "no: lower"
        return "yes"


def of(record: ImagenetRecord) -> Reproduction:
    """A record beside what was published of its release."""
    low, high = wilson(record.scores.correct, record.scores.total)
    known = imagenet().get((record.spec.variant, record.spec.weights.name))
    figure = protocols.published(record.spec.variant, record.spec.weights.name)
    published = top5 = None
    if figure is not None and record.spec.data == IMAGENET:
        published = figure.top1
        top5 = known.top5 if isinstance(known, ImagenetResult) else None
    return Reproduction(100 * low, 100 * high, published, top5, tuple(record.marks))
