"""Photos that are blurred or sharp: a set of two classes made of any folder of photos.

`python tests/support/blurred.py PHOTOS FOLDER` writes each photo twice, as it is and blurred by a
Gaussian of 1 to 3 of its pixels, and a table of them beside them, named as FOLDER is. A photo and
its blurred twin are a group, so that no network can tell them apart by knowing the photo.
"""

import csv
import random
import sys
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

RADIUS = (1.0, 3.0)
QUALITY = 92  # both are encoded again, so that the traces of JPEG tell nothing


def write(photos: Path, folder: Path) -> None:
    """Writes the images of every JPEG under `photos`, and their table."""
    folder.mkdir(parents=True)
    numbers = random.Random(0)
    rows = []
    for group, path in enumerate(sorted(photos.rglob("*.jpg"))):
        with Image.open(path) as image:
            sharp = ImageOps.exif_transpose(image).convert("RGB")
        blur = ImageFilter.GaussianBlur(numbers.uniform(*RADIUS))
        for label, pixels in (("sharp", sharp), ("blurred", sharp.filter(blur))):
            name = f"{group:04}-{label}.jpg"
            pixels.save(folder / name, quality=QUALITY)
            rows.append((name, label, group))
    with (folder / f"{folder.name}.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file_name", "label", "group"))
        table.writerows(rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tests/support/blurred.py PHOTOS FOLDER")
    if not Path(sys.argv[1]).is_dir():
        sys.exit(f"no folder of photos: {sys.argv[1]}")
    write(*map(Path, sys.argv[1:]))
