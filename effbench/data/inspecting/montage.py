"""A picture of the classes: nine images of each."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from effbench.data.inspecting import lettering
from effbench.data.inspecting.listing import printable
from effbench.data.inspecting.survey import Survey, SurveyedImage
from effbench.data.pixels.decoding import UnreadableImageError, decode
from effbench.errors import UsageError

ACROSS = 9
# More classes would make a picture that no program opens.
MOST_CLASSES = 100
# Formats by the ending of a file's name, as Pillow calls them.
FORMATS: Mapping[str, str] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_SIDE = 112
_GAP = 4
_TEXT = lettering.LINE


def format_of(path: Path) -> str:
    """The format that the name of a picture's file says.

    Raises:
        UsageError: it says none that we write.
    """
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        *others, last = FORMATS
        endings = f"{', '.join(others)} or {last}"
        raise UsageError(
            "--montage must be the name of a picture", str(path), f"end it in {endings}"
        )
    return name


def montage(seen: Survey, style: str) -> bytes:
    """A picture with a row for each of the first `MOST_CLASSES` classes: its name and nine images.

    The nine are spread evenly over the class's files in the order of their names.

    Args:
        seen: the images.
        style: a value of `FORMATS`.
    """
    classes = seen.listing.classes[:MOST_CLASSES]
    rows: dict[str, list[SurveyedImage]] = {label: [] for label in classes}
    for row in seen.images:
        if row.listed.label in rows:
            rows[row.listed.label].append(row)
    pitch = _SIDE + _GAP
    width, height = ACROSS * pitch + _GAP, len(rows) * (pitch + _TEXT) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    names = [f"{printable(label)} ({len(images):,})" for label, images in rows.items()]
    written = lettering.lines(names, width - 2 * _GAP)
    for number, images in enumerate(rows.values()):
        top = number * (pitch + _TEXT) + _GAP
        line = (0, number * _TEXT, written.width, (number + 1) * _TEXT)
        sheet.paste(written.crop(line), (_GAP, top))
        for column, row in enumerate(_spread(images)):
            thumbnail = _thumbnail(seen, row)
            if thumbnail:
                sheet.paste(thumbnail, (_GAP + column * pitch, top + _TEXT))
    buffer = io.BytesIO()
    sheet.save(buffer, style)
    return buffer.getvalue()


def _spread(images: Sequence[SurveyedImage]) -> list[SurveyedImage]:
    count = min(ACROSS, len(images))
    return [images[index] for index in np.linspace(0, len(images) - 1, count).astype(int)]


def _thumbnail(seen: Survey, row: SurveyedImage) -> Image.Image | None:
    try:
        content = (seen.listing.root / row.listed.name).read_bytes()
        return ImageOps.pad(decode(content).image, (_SIDE, _SIDE), color="#dddddd")
    except (OSError, UnreadableImageError):  # it went a moment ago
        return None
