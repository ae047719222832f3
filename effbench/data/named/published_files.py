"""Files of a published dataset: where they lie, or how they come here, checked and unpacked."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from effbench import cache, files, locks
from effbench.errors import DataError
from effbench.files import writing
from effbench.progress import Report, Step

# What unpacking raises of archives that are cut off, or whose names contradict one another.
_BROKEN = (
    *(tarfile.TarError, zlib.error, EOFError),
    *(FileExistsError, IsADirectoryError, NotADirectoryError),
)


@dataclass(frozen=True)
class PublishedFile:
    """A file as it was published.

    Attributes:
        name: its own name.
        url: where it is, or was.
        md5: of its content.
        folder: of an archive: the one folder that it holds; "" for a file that is no archive.
    """

    name: str
    url: str
    md5: str
    folder: str = ""


def all_there(
    title: str,
    single: Sequence[PublishedFile],
    archives: Sequence[PublishedFile],
    directory: Path | None,
    hint: str,
) -> None:
    """Makes sure that no file is missing, before the first is read.

    Args:
        title: the dataset's name.
        single: files that are no archives.
        archives: those that are; they may be unpacked, all in `directory` or one by one in the
            cache.
        directory: as for `obtained`.
        hint: where else they can be had.

    Raises:
        DataError: some are missing; it names all of them.
    """
    if directory is None:
        return
    home = cache.downloads() / title
    packed = [archive for archive in archives if not (home / archive.folder).is_dir()]
    needed = [*single, *([] if _all_unpacked(archives, directory) else packed)]
    missing = [file.name for file in needed if not (directory / file.name).is_file()]
    if missing:
        raise DataError(f"no {', '.join(missing)} in --data-dir", str(directory), hint)


def obtained(file: PublishedFile, directory: Path | None, hint: str, report: Report) -> Path:
    """A file with the published content.

    Args:
        file: which one.
        directory: the folder that it is in; None for the cache, to which it is downloaded.
        hint: where else it can be had.
        report: told of a download as it comes.

    Raises:
        DataError: it is not there, or is another file.
    """
    if directory is None:
        from effbench.data.named.download import download  # takes as long to load as all else here

        path = cache.downloads() / file.name
        # Which checks what is there already, too.
        return download(file.url, path, file.md5, DataError, hint, report)
    path = directory / file.name
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise DataError(f"no {file.name} in --data-dir", str(directory), hint) from error
    if digest.hexdigest() != file.md5:
        received = f"{path} with md5 {digest.hexdigest()}"
        raise DataError(f"not the published file (md5 {file.md5})", received, hint)
    return path


def unpacked(
    title: str, archives: Sequence[PublishedFile], directory: Path | None, hint: str, report: Report
) -> Path:
    """A folder with what some archives hold: `directory`, if it is unpacked there, else the cache.

    Args:
        title: the dataset's name.
        archives: tar.gz files.
        directory: as for `obtained`.
        hint: where else they can be had.
        report: told of a download as it comes.

    Raises:
        DataError: an archive is not there, another one, broken, or wants to write elsewhere.
        DiskError: the cache cannot be written.
    """
    if directory and _all_unpacked(archives, directory):
        return directory
    home = cache.downloads() / title
    with locks.held(home.with_suffix(".lock"), report, f"another process unpacks {title}"):
        for archive in archives:
            if not (home / archive.folder).is_dir():
                path = obtained(archive, directory, hint, report)
                report(Step("unpack", note=archive.name))
                _unpack(path, archive.folder, home, hint)
    return home


def _all_unpacked(archives: Sequence[PublishedFile], directory: Path) -> bool:
    return all((directory / archive.folder).is_dir() for archive in archives)


def _unpack(archive: Path, folder: str, home: Path, hint: str) -> None:
    """Unpacks beside, then renames: the folder is whole or absent."""
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".") as scratch:
            try:
                with tarfile.open(archive) as tar:
                    tar.extractall(scratch, filter="data")
            except _BROKEN as error:
                rule = "not a whole archive, or one that would write elsewhere"
                raise DataError(rule, f"{archive} ({error})", hint) from error
            if not Path(scratch, folder).is_dir():
                raise DataError(f"no folder {folder} in the archive", str(archive), hint)
            Path(scratch, folder).replace(home / folder)
            files.sync(home)
