"""Text for a terminal, broken between words at its width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text


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
