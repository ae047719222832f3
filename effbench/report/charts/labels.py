"""Where names of points go, so that none lies on another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# The size of a character in an 11 pixel sans-serif font, wide enough for the common ones.
CHARACTER, LINE = 6.4, 12.0
_GAP, _RADIUS = 8.0, 5.0


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they touch; a box may be as thin as a line."""
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether no part is beyond the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Label:
    """Offset of a text's anchor from its point, and which end of the text is there."""

    dx: float
    dy: float
    align: str


NONE = Label(0, 0, "left")
# Where a label may stand: beside the point, else above or below.
_POSITIONS = tuple(
    Label(side * (_GAP if dy == 0 else _GAP / 2), dy, align)
    for dy in (0, -13, 13)
    for side, align in ((-1, "right"), (1, "left"))
)


def arranged(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    order: Iterable[int],
    taken: Iterable[Box],
    frame: Box,
) -> dict[int, Label]:
    """Finds a free place for each name in turn; a name for which there is none gets no label.

    Args:
        points: where they are, pixels.
        names: one for each point.
        order: indices of points, the most important first.
        taken: what else must stay visible.
        frame: what nothing may leave.
    """
    boxes = [*taken, *(_around(point) for point in points)]
    labels = {}
    for index in order:
        for label in _POSITIONS:
            box = _box(points[index], names[index], label)
            if box.inside(frame) and not any(box.meets(other) for other in boxes):
                boxes.append(box)
                labels[index] = label
                break
    return labels


def _around(point: tuple[float, float]) -> Box:
    x, y = point
    return Box(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)


def _box(point: tuple[float, float], name: str, label: Label) -> Box:
    x, y = point[0] + label.dx, point[1] + label.dy
    width = CHARACTER * len(name)
    left = x if label.align == "left" else x - width
    return Box(left, y - LINE / 2, left + width, y + LINE / 2)
