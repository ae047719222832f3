"""How plots look, on light and on dark ground; no spec names a colour itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """The colours of a plot.

    Attributes:
        ink: text that matters.
        soft: text beside it, ticks.
        grid: lines behind.
        series: colours of what is compared, which colour-blind readers can tell apart too (Okabe
            and Ito 2008); the third is for what others published.
        heat: colours from nothing to much; ink is legible on all of it.
    """

    ink: str
    soft: str
    grid: str
    series: tuple[str, ...]
    heat: tuple[str, str]

    @property
    def config(self) -> Mapping[str, object]:
        """The configuration for Vega-Lite."""
        text = {"labelColor": self.soft, "titleColor": self.ink, "labelFontSize": 11}
        return {
            "font": "system-ui, sans-serif",
            "mark": {"color": self.series[0]},
            "rule": {"color": self.series[0]},
            "text": {"color": self.ink, "fontSize": 11},
            "title": {
                "color": self.ink,
                "subtitleColor": self.soft,
                "anchor": "start",
                "fontSize": 13,
                "subtitleFontSize": 11,
                "offset": 10,
            },
            "axis": text
            | {
                "domainColor": self.grid,
                "gridColor": self.grid,
                "tickColor": self.grid,
                "titleFontSize": 11,
                "titleFontWeight": "normal",
                "titlePadding": 8,
            },
            "legend": text | {"title": None, "orient": "top", "padding": 0, "labelLimit": 300},
            "range": {"category": list(self.series), "heatmap": list(self.heat)},
            "view": {"stroke": None},
        }


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        ink="#1b1f24",
        soft="#57606a",
        grid="#dfe3e8",
        series=("#0072b2", "#d55e00", "#7b838c", "#009e73", "#b3568a", "#8a6d00"),
        heat=("#f6f8fa", "#62a9d6"),
    ),
    "dark": Theme(
        ink="#e6e9ed",
        soft="#a6afb9",
        grid="#343b44",
        series=("#56b4e9", "#f08a4b", "#98a2ad", "#35c79d", "#e39ac6", "#e6c229"),
        heat=("#20262d", "#2c6a93"),
    ),
}
