"""Photos that are in memory: what `effbench.data.photos` reads from a folder, for tests."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from effbench.config.geometry import Geometry
from effbench.data.splits import Dataset, Split


@dataclass
class MappedRows:
    """Rows as over a memory map; notes how many were read at a time."""

    values: np.ndarray
    read: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.values.tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen) -> np.ndarray:
        part = self.values[chosen]
        self.read.append(len(part))
        return part


@dataclass(frozen=True)
class MemoryPhotos:
    """Photos that were decoded before."""

    pixels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, chosen: np.ndarray) -> "MemoryPhotos":
        return MemoryPhotos(self.pixels[chosen], tuple(self.names[index] for index in chosen))

    def sized(self, size: int, geometry: Geometry, report, cache_gb=None, to_come=0) -> MappedRows:
        """The upper left corner, or all of it again and again; crops are brighter."""
        side = self.pixels.shape[1]
        repeated = self.pixels.repeat(-(-size // side), axis=1).repeat(-(-size // side), axis=2)
        bright = 40 * (geometry.fit == "crop")
        return MappedRows(repeated[:, :size, :size] // 2 + np.uint8(bright))


def photos(classes: int = 3, images: int = 60, *, test: bool = True) -> Dataset:
    """Photos whose class is how bright they are; a fifth of them each for the held-out splits."""
    labels = np.arange(images, dtype=np.uint8) % classes
    noise = np.random.default_rng(0).integers(0, 30, (images, 32, 32, 3))
    step = 200 // classes
    pixels = (noise + step * labels[:, None, None, None]).astype(np.uint8)
    named = tuple(f"class {label}/{number}.jpg" for number, label in enumerate(labels))
    whole = Split(MemoryPhotos(pixels, named), labels, np.arange(images))
    ends = [images // 5, 2 * images // 5] if test else [images // 5]
    *held_out, train = np.split(np.arange(images), ends)
    validation, *rest = (whole.take(part) for part in held_out)
    digest = hashlib.sha256(pixels.tobytes() + bytes(test)).hexdigest()
    names = tuple(f"class {number}" for number in range(classes))
    return Dataset(whole.take(train), validation, rest[0] if rest else None, digest, names)
