"""Text for a terminal, broken between words at its width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from effbench.report.summary import listed


def lines(text: str, width: int, *, indent: str = "", style: str = "") -> Iterator[Text]:
    """The lines of a text, those after the first indented."""
    for line in textwrap.wrap(text, width, subsequent_indent=indent):
        yield Text(line, style)


def paragraph(text: str, width: int, style: str = "") -> Iterator[Text]:
    """A text and an empty line; nothing for no text."""
    yield from lines(text, width, style=style)
    if text:
        yield Text()


def points(title: str, texts: Sequence[str], width: int) -> Iterator[Text]:
    """A list under its title, and an empty line; nothing for no texts."""
    if not texts:
        return
    yield from lines(title, width, style="bold")
    for text in texts:
        yield from lines(f"- {text}", width, indent="  ")
    yield Text()


def left_out(titles: Iterable[str], instead: str) -> Iterator[str]:
    """Says which columns a terminal had no room for, and how they can be had; nothing for none."""
    names = [" ".join(title.split()) for title in titles]
    if names:
        yield f"A wider terminal also shows {listed(names)}; {instead}."
