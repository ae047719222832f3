"""What another protocol costs: scores of one release, on the same images, by several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from effbench.imagenet.imagenet_records import ImagenetRecord, ScoringSpec
from effbench.report.statistics import ALPHA, Difference, Sample, mcnemar


@dataclass(frozen=True)
class ProtocolCost:
    """One protocol instead of another.

    Attributes:
        base: by the release's own protocol, or else by the one that was named first.
        other: by the other one.
        difference: of the other's top-1 from the base's, by McNemar's test over the images; None
            where an older record does not say which images were right.
    """

    base: ImagenetRecord
    other: ImagenetRecord
    difference: Difference | None

    @property
    def points(self) -> float:
        """The difference, percentage points."""
        return 100 * (self.other.scores.accuracy - self.base.scores.accuracy)

    @property
    def text(self) -> str:
        """The difference and whether it is real, in a line."""
        spec, total = self.other.spec, self.other.scores.total
        what = f"{spec.variant} {spec.weights.name}: {spec.protocol} instead of "
        points = f"{what}{self.base.spec.protocol} is {self.points:+z.2f} points"
        if self.difference is None:
            return f"{points}; an older record has no answers by image to test it by (--force)"
        low, high, p = self.difference.low, self.difference.high, self.difference.p
        chance = f"p = {p:.2g}" if p else "p < 1e-300"
        real = "a real difference" if p < ALPHA else "which may be nothing"
        return (
            f"{points} [{100 * low:+z.2f}, {100 * high:+z.2f}], {real} ({chance}, McNemar's exact "
            f"test over the same {total:,} images)"
        )


def costs(records: Sequence[ImagenetRecord]) -> list[ProtocolCost]:
    """Every protocol beside the first, of each release that was scored by several."""
    groups: dict[ScoringSpec, list[ImagenetRecord]] = {}
    for record in records:
        groups.setdefault(replace(record.spec, protocol=""), []).append(record)
    return [cost for group in groups.values() for cost in _of(group)]


def _of(group: Sequence[ImagenetRecord]) -> Iterable[ProtocolCost]:
    base = next((record for record in group if record.own_protocol), group[0])
    for other in group:
        if other is not base:
            yield ProtocolCost(base, other, _difference(base.right, other.right))


def _difference(base: np.ndarray | None, other: np.ndarray | None) -> Difference | None:
    if base is None or other is None:
        return None
    return mcnemar(_sample(other), _sample(base))


def _sample(right: np.ndarray) -> Sample:
    return Sample((0,), right[np.newaxis], seeded=False)
