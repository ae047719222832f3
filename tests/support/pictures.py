"""Small images in folders, made with Pillow."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, width: int = 24, height: int = 16) -> Image.Image:
    """An image that differs from those of other seeds in every pixel."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The bytes of an image's file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def put(path: Path, content: bytes | Image.Image) -> Path:
    """Writes a file and the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else encoded(content))
    return path


def fill(root: Path, counts: Mapping[str, int], **size: int) -> Path:
    """Puts so many different images into each of some folders."""
    seed = 0
    for folder, count in counts.items():
        for number in range(count):
            seed += 1
            put(root / folder / f"{number:04d}.png", noise(seed, **size))
    return root
