"""Images named by a CSV beside them: `file_name,label`, optionally `split` and `group`."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from effbench.data.inspecting.listing import (
    SPLIT_NAMES,
    ListedImage,
    Listing,
    class_name,
    ordered,
    refuse_two_spellings,
    some,
)
from effbench.errors import DataError

REQUIRED = ("file_name", "label")
OPTIONAL = ("split", "group")
HINT = "the first line names the columns file_name, label and, if you like, split and group"
# By the bytes that they begin with; longer ones first.
ENCODINGS: Mapping[bytes, str] = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Spreadsheets of some countries write semicolons.
DELIMITERS = ",;\t"


def read(path: Path) -> Listing:
    """The images that a CSV names, relative to its folder; a byte-order mark says how it is coded.

    Raises:
        DataError: it cannot be read, lacks a column or a cell, names a file twice, spells a class
            in two ways, or names files that are not there.
    """
    images: dict[str, ListedImage] = {}
    lines: dict[str, int] = {}
    labels: dict[str, set[str]] = defaultdict(set)
    for row in _rows(path):
        if row.name in images:
            where = f"{row.name} in lines {lines[row.name]} and {row.line}"
            raise DataError("the CSV names a file twice", some([where]), "keep one of the lines")
        lines[row.name] = row.line
        labels[row.split].add(row.label)
        images[row.name] = ListedImage(row.name, class_name(row.label), row.split, row.group)
    if not images:
        raise DataError("the CSV names no files", str(path), HINT)
    for spellings in labels.values():
        refuse_two_spellings(sorted(spellings), "labels")
    marked = sum(bool(image.split) for image in images.values())
    if 0 < marked < len(images):
        blank = [image.name for image in images.values() if not image.split]
        raise DataError(
            "the column split is filled in some lines only",
            f"not for {some(blank)}",
            "name a split in every line, or in none",
        )
    root = path.parent
    missing = _missing(root, images)
    if missing:
        files = "a file that is" if len(missing) == 1 else f"{len(missing):,} files that are"
        raise DataError(
            f"the CSV names {files} not there",
            some(missing),
            f"names are relative to the CSV's folder, {root}",
        )
    classes = ordered(image.label for image in images.values())
    return Listing(root, tuple(images[name] for name in sorted(images)), classes, certain=True)


@dataclass(frozen=True)
class _Row:
    line: int
    name: str
    label: str
    split: str
    group: str


def _missing(root: Path, names: Iterable[str]) -> list[str]:
    """The names of files that are not there."""
    missing = []
    folder = os.open(root, os.O_RDONLY)
    try:
        for name in names:
            try:
                os.stat(name, dir_fd=folder)
            except (OSError, ValueError):  # a name may also be too long, or hold a NUL
                missing.append(name)
    finally:
        os.close(folder)
    return sorted(missing)


def _rows(path: Path) -> Iterator[_Row]:
    lines = io.StringIO(_text(path), newline="")
    header = lines.readline()
    # A title may stand in quotes; a delimiter within one does not count, so the most frequent wins.
    delimiter = max(DELIMITERS, key=header.count)
    titles = [
        title.strip().lower() for title in next(csv.reader([header], delimiter=delimiter), [])
    ]
    for title in (*REQUIRED, *OPTIONAL):
        if titles.count(title) > 1:
            raise DataError("the CSV has a column twice", title, "keep one of them")
    lacking = [title for title in REQUIRED if title not in titles]
    if lacking:
        raise DataError(
            f"the CSV has no column {' and no column '.join(lacking)}",
            f"its first line is {some([header.strip()[:80]])!r}",
            HINT,
        )
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            if cells:
                # Line 1 is the header, which this reader has not seen.
                yield _row(dict(zip(titles, cells, strict=False)), reader.line_num + 1)
    except csv.Error as error:
        where = f"line {reader.line_num + 1} ({error})"
        raise DataError("the CSV cannot be read", where, "mend it or write it again") from error


def _row(cells: Mapping[str, str], line: int) -> _Row:
    name = cells.get("file_name", "")
    label = cells.get("label", "")
    split = cells.get("split", "").strip()
    for title, cell in (("file_name", name), ("label", label)):
        if not cell.strip():
            raise DataError(f"the CSV lacks a {title}", f"line {line}", "fill it in")
    if split and split.lower() not in SPLIT_NAMES:
        raise DataError(
            "the CSV names an unknown split",
            f"{some([split])} in line {line}",
            f"choose from {', '.join(SPLIT_NAMES)}",
        )
    group = cells.get("group", "").strip()
    return _Row(line, name, label, SPLIT_NAMES.get(split.lower(), ""), group)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = error.strerror or repr(error)
        raise DataError("the CSV cannot be read", f"{path} ({problem})", HINT) from error
    encoding = next((name for mark, name in ENCODINGS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            "the CSV is not UTF-8, nor UTF-16 with a byte-order mark",
            f"{path}, byte {error.start:,}",
            "save it as UTF-8",
        ) from error
