"""Which images a source names, and what it says of each."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from effbench.errors import DataError

SPLITS = ("train", "validation", "test")
# What people call them, in any case of letters.
SPLIT_NAMES: Mapping[str, str] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}

# A line that names files names so many of them.
NAMED = 5


@dataclass(frozen=True)
class ListedImage:
    """A file that is meant to be an image.

    Attributes:
        name: its path from the source's root, with slashes.
        label: name of its class.
        split: one of `SPLITS`, "" where the source does not say.
        group: of images that belong together; "" for an image that stands alone.
    """

    name: str
    label: str
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Listing:
    """All that a source names.

    Attributes:
        root: the folder that the names start from.
        images: sorted by name.
        classes: names of the classes, in the order of their numbers; also of those without images.
        hidden: number of hidden files and folders that were passed over.
        beside: names of files that lie in no class's folder.
        certain: whether somebody named every file, so that each must be an image.
    """

    root: Path
    images: tuple[ListedImage, ...]
    classes: tuple[str, ...]
    hidden: int = 0
    beside: tuple[str, ...] = ()
    certain: bool = False


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes by their numbers where all are numbers, else by their letters."""
    unique = set(names)
    if all(name.isdecimal() for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def by_number(classes: Iterable[str]) -> bool:
    """Whether `ordered` took them for numbers."""
    return all(name.isdecimal() for name in classes)


def class_name(text: str) -> str:
    """The one spelling of a class: systems write the same letters with accents in two ways.

    Spaces around it are none of it: nobody sees them, and many programs drop them from a CSV.
    """
    return unicodedata.normalize("NFC", text.strip())


def a_line(name: str) -> bool:
    """Whether a name is a line of words, as files of labels have one for each class."""
    return name.splitlines() == [name] and name == name.strip()


def refuse_broken_lines(classes: Iterable[str]) -> None:
    """Makes sure that a file of labels can hold the names of classes, before there is a model.

    Raises:
        DataError: a line would end within one of them.
    """
    broken = [name for name in classes if not a_line(name)]
    if broken:
        raise DataError(
            "names of classes must be a line each", some(broken), "rename them without line breaks"
        )


def refuse_two_spellings(texts: Iterable[str], what: str) -> None:
    """Makes sure that texts that stand side by side are of different classes.

    Args:
        texts: as they stand there.
        what: what they are: "folders" or "labels".

    Raises:
        DataError: two of them have the same `class_name`.
    """
    spellings: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        first = spellings.setdefault(class_name(text), text)
        if first != text:
            raise DataError(
                f"{what} of one class are spelled in two ways",
                f"{first!a} and {text!a}",
                "spell them alike, or rename one; spaces around a name and how its accents are "
                "coded make no other class",
            )


def in_unicode(name: str) -> str:
    """The same name.

    Raises:
        DataError: it is not UTF-8, so that no record, table or page could hold it.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise DataError("names of files and folders must be UTF-8", shown, "rename it") from error
    return name


def printable(name: str) -> str:
    """A name for people: what would break a line or a terminal is escaped."""
    return escaped(name, str.isprintable)


def escaped(name: str, shown: Callable[[str], bool]) -> str:
    """A name in which characters that are not `shown` are written as in a Python string."""
    return "".join(char if shown(char) else char.encode("unicode_escape").decode() for char in name)


def some(names: Sequence[str]) -> str:
    """A list for a line: the first few, and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(map(printable, names[:NAMED])) + more
