"""ImageNet accuracies that were measured here, of releases that were also trained with."""

from __future__ import annotations

from collections.abc import Iterable

from effbench.config.variants import VARIANTS
from effbench.imagenet.imagenet_records import ImagenetRecord
from effbench.imagenet.validation_sets import IMAGENET


def top1(records: Iterable[ImagenetRecord]) -> dict[tuple[str, str], float]:
    """The top-1 of each release, percent, by variant and release.

    Only what may stand for a published figure counts: all 50,000 images at the network's own size,
    a release byte for byte, in full precision and by its published protocol.
    """
    return {
        (record.spec.variant, record.spec.weights.name): 100 * record.scores.accuracy
        for record in records
        if record.spec.data == IMAGENET
        and record.spec.image_size == VARIANTS[record.spec.variant].image_size
        and not record.marks
    }
