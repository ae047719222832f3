"""The plane of a plot of points: where a value lies, for Vega-Lite and for placing names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from effbench.report.charts.figure import WIDTH, span
from effbench.report.charts.labels import Box
from effbench.report.rows import Accuracy

HEIGHT = 205
# Pixels by which a name may stick out.
_BESIDE = 40


@dataclass(frozen=True)
class Scale:
    """A domain of values."""

    low: float
    high: float
    log: bool

    @classmethod
    def over(cls, values: Sequence[float], *, log: bool = False) -> Scale:
        """The scale over some values, with room for the marks at both ends."""
        if log:
            low, high = span([math.log10(value) for value in values], 0.12)
            return cls(10**low, 10**high, log)
        return cls(*span(values, 0.12), log)

    def __call__(self, value: float) -> float:
        """Where in the domain a value is, 0 to 1."""
        change = math.log10 if self.log else float
        low, high = change(self.low), change(self.high)
        return (change(value) - low) / (high - low)

    @property
    def scale(self) -> alt.Scale:
        """The same scale for Vega-Lite."""
        bounds = [self.low, self.high]
        return alt.Scale(type="log" if self.log else "linear", domain=bounds, nice=False)


@dataclass(frozen=True)
class Plane:
    """Two scales, and the pixels over which they stretch."""

    across: Scale
    up: Scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies, pixels, y downwards."""
        return self.across(x) * WIDTH, (1 - self.up(y)) * HEIGHT

    def line(self, start: tuple[float, float], end: tuple[float, float]) -> Box:
        """Where a line lies that is level or upright."""
        (left, right), (top, bottom) = map(sorted, zip(self.at(*start), self.at(*end), strict=True))
        return Box(left, top, right, bottom)

    def whisker(self, x: float, accuracy: Accuracy) -> Box:
        """Where the interval of an accuracy lies."""
        bounds = drawn(accuracy)
        return self.line((x, min(bounds)), (x, max(bounds)))

    @property
    def frame(self) -> Box:
        """What names may not leave."""
        return Box(0, 0, WIDTH + _BESIDE, HEIGHT)


def drawn(accuracy: Accuracy) -> list[float]:
    """All values of an accuracy that are drawn."""
    return [value for value in (accuracy.mean, accuracy.low, accuracy.high) if value is not None]
