"""From the bytes of an image file to its pixels, by what is in it and not by its name.

Pillow decodes; what its formats leave open is decided here: where an image is see-through there is
white behind it, EXIF's orientation is applied, and of several frames the first one counts.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

from effbench.errors import one_line

# Raised whenever the same file gives other pixels than before.
VERSION = 1
# All that the pixels of a file depend on beside the file.
DECODER = f"Pillow {PIL.__version__}, version {VERSION}"

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
READABLE = "JPEG, PNG, GIF, BMP or WebP"
# A file whose name ends so was meant to be an image, whether it can be read or not.
ENDINGS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib"),
        *(".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl"),
    )
)


class UnreadableImageError(Exception):
    """A file cannot be decoded; the message says why."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image.

    Attributes:
        image: in mode RGB, turned as EXIF says unless that was not asked for.
        format: one of `FORMATS`, or MPO: a JPEG with another image in it, as cameras write.
    """

    image: Image.Image
    format: str


def decode(
    content: bytes, formats: tuple[str, ...] = FORMATS, *, upright: bool = True
) -> DecodedImage:
    """The first frame of an image as RGB.

    16 bits a channel are rounded to 8; CMYK becomes RGB without its colour profile.

    Args:
        content: the file.
        formats: those of Pillow that may be read.
        upright: whether EXIF's orientation is applied.

    Raises:
        UnreadableImageError: it is empty, cut off, damaged, of no known format, or a decompression
            bomb: of more pixels than Pillow takes (179 million).
    """
    if not content:
        raise UnreadableImageError("0 bytes")
    try:
        with warnings.catch_warnings():
            # Pillow warns of half the pixels that it refuses, and of damaged EXIF.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=formats) as opened:
                opened.load()
                name = opened.format or ""
                turned = ImageOps.exif_transpose(opened) if upright else opened
                return DecodedImage(_rgb(turned), name)
    except PIL.UnidentifiedImageError as error:
        raise UnreadableImageError(f"not a {READABLE}") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"a decompression bomb: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders of damaged files raise errors of any kind
        reason = one_line(str(error)) or type(error).__name__
        raise UnreadableImageError(f"damaged: {reason}") from error


def begins_like_an_image(path: Path) -> bool:
    """Whether a file is of one of `FORMATS`, by its first bytes; it may still be damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Opening a pipe would wait for ever.
            if not path.is_file():
                return False
            with Image.open(path, formats=FORMATS):
                return True
    except Exception:  # as in `decode`
        return False


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # which Pillow would clip, not scale
        grey = np.asarray(image, np.float64) * (255 / 65535)
        return Image.fromarray(np.round(grey).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return image.convert("RGB")
