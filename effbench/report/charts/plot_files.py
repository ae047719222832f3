"""Plots as files, SVG and PNG, made without a browser."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import vl_convert

from effbench.files import write_atomically
from effbench.report.charts.drawing import Drawing
from effbench.report.charts.figure import Figure
from effbench.report.charts.theme import THEMES

# Pixels of a PNG for each pixel of the plot.
SCALE = 2
# Characters in a line under a title.
LINE = 60


def write(drawings: Iterable[Drawing], directory: Path) -> Iterator[Path]:
    """Writes every plot as SVG and as PNG; gives each path once it is there.

    Raises:
        DiskError: it cannot be written.
    """
    for drawing in drawings:
        for figure in drawing.figures:
            yield from write_figure(figure, drawing.section.title, directory / figure.name)


def write_figure(figure: Figure, subject: str, path: Path) -> Iterator[Path]:
    """Writes one plot as `path` with .svg and with .png; gives each path once it is there.

    Args:
        figure: the plot.
        subject: what it is of; a line under its title.
        path: without a suffix.

    Raises:
        DiskError: it cannot be written.
    """
    config = dict(THEMES["light"].config)
    spec = _titled(figure, subject)
    svg = vl_convert.vegalite_to_svg(spec, config=config)
    png = vl_convert.vegalite_to_png(spec, config=config, scale=SCALE)
    for suffix, content in (("svg", svg.encode()), ("png", png)):
        whole = path.with_name(f"{path.name}.{suffix}")
        write_atomically(whole, content)
        yield whole


def _titled(figure: Figure, subject: str) -> dict[str, object]:
    """The plot with what a page says around it, since a file stands alone."""
    lines = [subject, *textwrap.wrap(f"{figure.summary} {figure.note}", LINE)]
    title = {"text": figure.title, "subtitle": lines}
    return {**figure.whole, "title": title, "background": "white", "padding": 12}
