"""Files that are whole or absent, and what a disk that refuses them means."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedRandom
from pathlib import Path

from effbench.errors import DiskError, UsageError

_FLAGS = "(--results, --output, or EFFBENCH_CACHE for the cache)"


_FULL = f"free some space there, or name a directory on another disk {_FLAGS}"


_FORBIDDEN = f"name a directory that can be written {_FLAGS}"


_FILE = f"name a directory, not a file {_FLAGS}"


_LIMITED = f"raise the limit (ulimit -f), or name a directory on another disk {_FLAGS}"


# A file that may not grow: the disk is full, or a limit is reached.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


# What file systems without hard links answer.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)


_DISK_HINTS = {
    errno.EFBIG: _LIMITED,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _FORBIDDEN,
    errno.ENOENT: _FORBIDDEN,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ENOTDIR: _FILE,
    errno.EEXIST: _FILE,
    errno.EISDIR: f"name a file, not a directory {_FLAGS}",
}


def refuse_to_replace(path: Path) -> None:
    """Makes sure that a file that a user names is a new one: what is there may be his own.

    Raises:
        UsageError: there is one.
    """
    if path.exists():
        raise UsageError(
            "what is there is not replaced",
            str(path),
            "name another file, or delete that one first",
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a full, read-only or forbidden disk under `path` into a `DiskError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_HINTS:
            # Some libraries raise it by themselves, without a number.
            if not isinstance(error, PermissionError):
                raise
            error.errno = errno.EACCES
        raise DiskError(
            f"cannot write under {path}",
            error.strerror or repr(error),
            _DISK_HINTS[error.errno],
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that is whole or absent, and durable once this returns.

    Raises:
        DiskError: it cannot be written; nothing is left behind.
    """
    with open_atomically(path) as file:
        file.write(content)


def write_once(path: Path, content: bytes) -> bool:
    """Writes a file that is whole or absent, unless one is there: of two writers, one does.

    Returns:
        Whether it was written.

    Raises:
        DiskError: it cannot be written; nothing is left behind.
    """
    with scratch_file(path.with_name(f".{path.name}.{writer()}.tmp")) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        try:
            path.hardlink_to(file.name)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            publish(file, path)
        sync(path.parent)
    return True


@contextmanager
def open_atomically(path: Path) -> Iterator[BufferedIOBase]:
    """Opens a file for writing that is whole or absent, and durable once the block has ended.

    Raises:
        DiskError: it cannot be written; nothing is left behind.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    if path.exists() and not (path.is_file() or path.is_dir()):  # /dev/stdout stays what it is
        with writing(path.parent), path.open("wb") as file:
            yield file
        return
    with scratch_file(path.with_name(f".{path.name}.{writer()}.tmp")) as file:
        yield file
        publish(file, path)


def writer() -> str:
    """Names this process among all machines that share a folder."""
    return f"{socket.gethostname()}.{os.getpid()}"


@contextmanager
def scratch_file(path: Path) -> Iterator[BufferedRandom]:
    """A file to write and to read again; it is removed at the end, unless it is published.

    Raises:
        DiskError: it cannot be written; nothing is left behind.
    """
    with writing(path.parent):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w+b") as file:
                yield file
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def publish(file: BufferedRandom, path: Path) -> None:
    """Renames a scratch file to `path` in the same folder, whole and durable.

    Raises:
        OSError: it cannot be renamed; `scratch_file` turns this into a `DiskError`.
    """
    file.flush()
    os.fsync(file.fileno())
    Path(file.name).replace(path)
    sync(path.parent)


def sha256(file: BufferedIOBase) -> str:
    """The sha256 of all that is in an open file, hexadecimal."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def sync(folder: Path) -> None:
    """Makes a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
