"""Images in folders: `<split>/<class>/*`, or `<class>/*` without splits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from effbench.data import links
from effbench.data.inspecting.listing import (
    SPLIT_NAMES,
    ListedImage,
    Listing,
    class_name,
    in_unicode,
    ordered,
    refuse_two_spellings,
    some,
)
from effbench.data.pixels.decoding import ENDINGS
from effbench.errors import DataError

LAYOUT = (
    "give <class>/* or <split>/<class>/* (splits: train, val, test), or a CSV with the columns "
    "file_name and label"
)
# What systems leave in folders, beside names that start with a dot.
LITTER = frozenset(("thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx"))


def read(root: Path) -> Listing:
    """The images of a folder; each class's folder is read to its depth.

    A folder that is named like a split is one if there are folders in it, else it is a class.

    Raises:
        DataError: there are no classes, one is spelled in two ways, splits and classes stand side
            by side, links go in a circle or lead nowhere, or a folder cannot be read.
    """
    walk = _Walk(root)
    folders, beside = walk.entries("")
    splits = [name for name in folders if name.lower() in SPLIT_NAMES and walk.entries(name)[0]]
    if not splits:
        images, classes = _classes(walk, folders, "")
        names = beside
    else:
        others = [name for name in folders if name not in splits]
        if others:
            raise DataError(
                "folders of splits and other folders stand side by side",
                f"{some(splits)} beside {some(others)}",
                LAYOUT,
            )
        images, classes, names = [], set(), beside
        _each_once(splits)
        for name in splits:
            folders, stray = walk.entries(name)
            inside, labels = _classes(walk, folders, SPLIT_NAMES[name.lower()])
            images += inside
            classes |= labels
            names += stray
    if not classes:
        raise DataError("no folders of classes", _what_is_there(root, names), LAYOUT)
    images.sort(key=lambda image: image.name)
    return Listing(root, tuple(images), ordered(classes), walk.hidden, tuple(sorted(names)))


def files(root: Path) -> list[str]:
    """The names of all files in a folder and in those within it, hidden ones passed over.

    Raises:
        DataError: links go in a circle or lead nowhere, or a folder cannot be read.
    """
    return list(_Walk(root).files(""))


@dataclass
class _Walk:
    """Reads folders below a root, and counts what is hidden in them once."""

    root: Path
    hidden: int = 0
    _seen: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        """The folders in a folder, and the files, all by their names from the root, sorted."""
        if folder not in self._seen:
            self._seen[folder] = self._read(folder)
        folders, files = self._seen[folder]
        return list(folders), list(files)

    def files(self, folder: str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[str]:
        """The files in a folder and in those within it."""
        status = (self.root / folder).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise DataError(
                "a link leads back to a folder around it",
                some([self._last_link(folder)]),
                "remove the link",
            )
        folders, files = self.entries(folder)
        yield from files
        for inner in folders:
            yield from self.files(inner, (*above, identity))

    def _last_link(self, folder: str) -> str:
        """The link that led to a folder: itself, or the nearest one around it."""
        around = (PurePosixPath(folder), *PurePosixPath(folder).parents)
        return next((str(path) for path in around if (self.root / path).is_symlink()), folder)

    def _read(self, folder: str) -> tuple[list[str], list[str]]:
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.lower() in LITTER:
                        self.hidden += 1
                        continue
                    name = in_unicode(f"{folder}/{entry.name}".lstrip("/"))
                    _refuse_broken(entry, name)
                    (folders if _is_folder(entry) else files).append(name)
        except OSError as error:
            shown = some([str(self.root / folder)])
            problem = error.strerror or repr(error)
            raise DataError("a folder cannot be read", f"{shown} ({problem})", LAYOUT) from error
        return sorted(folders), sorted(files)


def _refuse_broken(entry: os.DirEntry[str], name: str) -> None:
    """Refuses a link that might have been a folder of images; images are looked at one by one."""
    if entry.is_symlink() and Path(name).suffix.lower() not in ENDINGS:
        problem = links.broken(Path(entry.path))
        if problem:
            raise DataError(problem, some([name]), "mend or remove it")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _classes(walk: _Walk, folders: list[str], split: str) -> tuple[list[ListedImage], set[str]]:
    """The images in folders of classes, and the names of the classes."""
    images, classes = [], set()
    refuse_two_spellings((folder.rpartition("/")[2] for folder in folders), "folders")
    for folder in folders:
        label = class_name(folder.rpartition("/")[2])
        if not label:
            raise DataError("a folder's name is no name of a class", ascii(folder), "rename it")
        classes.add(label)
        images += [ListedImage(name, label, split) for name in walk.files(folder)]
    return images, classes


def _each_once(folders: list[str]) -> None:
    for split in set(SPLIT_NAMES.values()):
        same = [name for name in folders if SPLIT_NAMES[name.lower()] == split]
        if len(same) > 1:
            raise DataError(f"two folders of the {split} split", some(same), "keep one of them")


def _what_is_there(root: Path, files: list[str]) -> str:
    inside = f"{len(files):,} files outside of folders" if files else "nothing"
    return f"{some([str(root)])} holds {inside}"
