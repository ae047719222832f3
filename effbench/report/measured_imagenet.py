"""ImageNet accuracies that were measured here, of releases that were also trained with."""

from __future__ import annotations

from collections.abc import Iterable

from effbench.imagenet.imagenet_records import ImagenetRecord


def top1(records: Iterable[ImagenetRecord]) -> dict[tuple[str, str], float]:
    """The top-1 of each release, percent, by variant and release.

    Only what may stand for a published figure counts: all 50,000 images, a release byte for byte,
    in full precision, by its published protocol and at the size of that.
    """
    return {
        (record.spec.variant, record.spec.weights.name): 100 * record.scores.accuracy
        for record in records
        if not record.marks
    }
