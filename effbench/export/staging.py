"""Files and folders that get their names together: all of them, or none, and the old ones stay."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from effbench.files import sync, writer, writing

# How the names of hidden folders begin; then come the machine and the process that made them.
_HIDDEN = ".effbench."


class Staging:
    """What is written, in hidden folders on the disks where it is to be."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folders: dict[Path, Path] = {}
        self._new: list[tuple[Path, Path]] = []
        self._stale: list[Path] = []

    def new(self, path: Path) -> Path:
        """Where to write what is to get the name `path`; its last part is the same."""
        name, path = path.name, path.resolve()  # a link stays one
        temporary = self._folder(path.parent) / "new" / name
        self._new.append((temporary, path))
        return temporary

    def write(self, path: Path, content: bytes) -> None:
        """Writes a file that is to get the name `path`."""
        self.new(path).write_bytes(content)

    def remove(self, path: Path) -> None:
        """Says that a file must be gone, if there is one, once the others have their names."""
        self._stale.append(path)

    def publish(self) -> None:
        """Gives all their names.

        Raises:
            OSError: that cannot be done; everything is as it was.
        """
        for temporary, _ in self._new:
            for written in (temporary, *temporary.rglob("*")):
                sync(written)
        with ExitStack() as undo:
            for temporary, path in self._new:
                self._set_aside(path, undo)
                temporary.replace(path)
                undo.callback(path.rename, temporary)
            for path in self._stale:
                if path.exists():
                    self._set_aside(path, undo)
                    path.unlink(missing_ok=True)
            undo.pop_all()
        for folder in self._folders:
            sync(folder)

    def _set_aside(self, path: Path, undo: ExitStack) -> None:
        """Keeps what has a name until all have theirs; a file has it until another takes it."""
        if not path.exists():
            return
        old = self._folder(path.parent.resolve()) / "old" / path.name
        try:
            old.hardlink_to(path)
        except OSError:  # a folder, or a file system without hard links
            path.rename(old)
        undo.callback(old.replace, path)

    def _folder(self, parent: Path) -> Path:
        if parent not in self._folders:
            parent.mkdir(parents=True, exist_ok=True)
            folder = self._stack.enter_context(
                tempfile.TemporaryDirectory(dir=parent, prefix=f"{_HIDDEN}{writer()}.")
            )
            for name in ("new", "old"):
                Path(folder, name).mkdir()
            self._folders[parent] = Path(folder)
        return self._folders[parent]


def clear(parent: Path) -> None:
    """Removes what processes of this machine that were killed have left in a folder.

    What one of them had set aside gets its name again, unless something has it by now.
    """
    for folder in parent.glob(f"{_HIDDEN}{socket.gethostname()}.*.*"):
        process = folder.name.split(".")[-2]
        if not process.isdigit() or psutil.pid_exists(int(process)):
            continue
        with contextlib.suppress(OSError):  # it stays, and so does what it holds
            for old in folder.glob("old/*"):
                if not os.path.lexists(parent / old.name):
                    old.rename(parent / old.name)
            shutil.rmtree(folder)


@contextmanager
def staged(folder: Path) -> Iterator[Staging]:
    """Publishes what was staged if the block ends well; else nothing is left behind.

    Args:
        folder: what a message about a full disk names.

    Raises:
        DiskError: it cannot be written, or not get its names.
    """
    with writing(folder.resolve()), contextlib.ExitStack() as stack:
        staging = Staging(stack)
        yield staging
        staging.publish()
