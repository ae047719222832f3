"""Names as pixels, whatever letters they are written in.

Pillow's own font has ASCII alone, and the fonts of a system are anywhere, if there are any. So
vl-convert draws: it has fonts for Latin, Greek, Cyrillic and Hebrew with it, and takes the system's
for what these lack.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from effbench.data.inspecting.listing import escaped

# Pixels from one line to the next, and from its top to the feet of its letters.
LINE = 22
_FEET = 16
_FONT = "Liberation Sans, sans-serif"
_SIZE = 14
# A cell of a table of characters, which leaves room beside each, and how many stand side by side.
_CELL, _ACROSS = 2 * LINE, 64
# No character at all, so that it is drawn as every font draws what it lacks.
_NO_CHARACTER = "\U0010ffff"


def lines(texts: Sequence[str], width: int) -> Image.Image:
    """Texts in black on white, one under the other: RGB, `width` x (`LINE` for each).

    A character for which no font is at hand is escaped as in a Python string.
    """
    lacking = _lacking({char for text in texts for char in text if not char.isascii()})
    placed = [
        (0, number * LINE + _FEET, escaped(text, lambda char: char not in lacking))
        for number, text in enumerate(texts)
    ]
    return _drawn(placed, width, max(1, len(texts)) * LINE)


def _lacking(characters: Iterable[str]) -> set[str]:
    """The characters that no font has: they look like one that is none."""
    table = [_NO_CHARACTER, *sorted(characters)]
    cells = [divmod(number, _ACROSS) for number in range(len(table))]
    placed = [
        (column * _CELL + _CELL // 4, row * _CELL + _FEET, char)
        for (row, column), char in zip(cells, table, strict=True)
    ]
    drawn = _drawn(placed, _ACROSS * _CELL, (cells[-1][0] + 1) * _CELL)
    pixels = np.asarray(drawn)
    pictures = [
        pixels[row * _CELL : (row + 1) * _CELL, column * _CELL : (column + 1) * _CELL]
        for row, column in cells
    ]
    return {
        char
        for char, picture in zip(table, pictures, strict=True)
        if np.array_equal(picture, pictures[0])
    }


def _drawn(placed: Iterable[tuple[int, int, str]], width: int, height: int) -> Image.Image:
    """Texts with their feet at (x, y) on white."""
    import vl_convert

    texts = "".join(
        f'<text x="{x}" y="{y}" xml:space="preserve">{escape(text)}</text>' for x, y, text in placed
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="{_FONT}" font-size="{_SIZE}">'
        f'<rect width="{width}" height="{height}" fill="white"/>{texts}</svg>'
    )
    return Image.open(io.BytesIO(vl_convert.svg_to_png(svg))).convert("RGB")
