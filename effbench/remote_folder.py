"""A folder at a URL, e.g. in an object store, and its working copy on this machine.

Commands read and write the copy, as any folder. `pull` brings what is new at the URL, `push` sends
what is new here. What is sent appears at once or not at all; records come last, so that what they
name is there. A copy is for one machine: there are no leases between machines, so two that sweep
into one URL may repeat each other's runs, but leave no record damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from effbench import cache, locks
from effbench.errors import EffbenchError, UsageError, one_line
from effbench.files import write_atomically, writer, writing
from effbench.progress import silent

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# What is about this machine alone, or the work of the moment.
_HERE = (".locks", ".running", ".queue", ".workers", ".logs", ".ray", ".slurm")
_STATE = ".copied.json"
_LOCK = ".copied.lock"
# What others look for is sent when the rest of it is there.
_LAST = ("record.json", "failure.json")
# What may be removed at the URL since it was removed here: never a record.
_PASSING = ("failure.json", "worker.log")
# What one put replaces as a whole; elsewhere a file is sent beside its place and renamed.
_SINGLE_PUT = ("s3", "s3a", "gs", "gcs", "abfs", "az", "memory")
# Tell the versions of a file apart: the first that a file system has.
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "content_md5")
_TIMES = ("mtime", "LastModified", "last_modified", "created")

_REMEDY = "look at the address, the network and the credentials"

# Those that this process has opened, by their working copies.
_OPENED: dict[Path, RemoteFolder] = {}


@dataclass(frozen=True)
class _Copied:
    """A file that was the same here and there: its size and time here, and its version there."""

    size: int
    mtime_ns: int
    version: str

    def same_here(self, path: Path) -> bool:
        """Whether it is as it was."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


class UnsentError(EffbenchError):
    """A URL could not be written, and what is new waits in the working copy."""


def is_url(text: str) -> bool:
    """Whether a folder is named by a URL."""
    return "://" in text


def shown(path: Path) -> str:
    """What a user calls a folder or file: its URL, if it is in the working copy of one."""
    for folder in (path, *path.parents):
        if folder in _OPENED:
            inner = path.relative_to(folder).as_posix()
            return _OPENED[folder].url + ("" if inner == "." else f"/{inner}")
    return str(path)


def opened(directory: Path) -> RemoteFolder | None:
    """What a folder is the working copy of, if this process has opened that."""
    return _OPENED.get(directory)


class RemoteFolder:
    """A folder at a URL."""

    def __init__(self, url: str) -> None:
        """Nothing is read or written yet."""
        self.url = url.rstrip("/")
        digest = hashlib.sha256(self.url.encode()).hexdigest()[:12]
        self.directory = cache.directory() / "remote" / f"{PurePosixPath(self.url).name}-{digest}"
        _OPENED[self.directory] = self

    def pull(self, later: Collection[str] = ()) -> None:
        """Brings what is new at the URL. A file that is new on both sides is as it is there.

        Args:
            later: folders whose files are not needed now; those that are here are kept up to date.

        Raises:
            EffbenchError: the URL cannot be read.
            DiskError: the copy cannot be written.
        """
        with self._copied() as copied, self._reached("read"):
            there = self._listed()
            for name, version in there.items():
                path = self.directory / name
                # A record that was removed here is brought again.
                before = copied.get(name) if _passes(name) or path.exists() else None
                if before is not None and before.version == version:
                    continue  # and what was changed here since is for `push`
                if before is None and _first(name) in later:
                    continue
                self._bring(name, path)
                status = path.stat()
                copied[name] = _Copied(status.st_size, status.st_mtime_ns, version)
            for name in [name for name in copied if name not in there]:
                if copied.pop(name).same_here(self.directory / name):
                    (self.directory / name).unlink(missing_ok=True)

    def check(self) -> None:
        """Makes sure that the URL can be written: a small file is sent there and removed again.

        Raises:
            EffbenchError: it cannot.
        """
        name = f".token.{writer()}"
        with NamedTemporaryFile() as token:
            token.write(b"effbench looks whether it can write here")
            token.flush()
            with self._reached("write"):
                files, root = self._located
                new = not self._single_put and not files.exists(root)
                self._send(Path(token.name), name)
                files.rm_file(self._address(name))
                if new:  # else a command that is refused would leave an empty folder
                    files.rmdir(root)

    def push(self) -> int:
        """Sends what is new here, and removes there what passes and was removed here.

        Returns:
            How many files were sent.

        Raises:
            UnsentError: the URL cannot be written; what was not sent is sent the next time.
        """
        sent = 0
        waiting = f"what is not there yet is kept in {self.directory}, and sent the next time"
        with self._copied() as copied, self._reached("write", f"{_REMEDY}; {waiting}", UnsentError):
            for name in self.unsent(copied):
                path = self.directory / name
                try:
                    status = path.stat()
                    self._send(path, name)
                    version = _version(self._files.info(self._address(name)))
                except FileNotFoundError:
                    if path.exists():  # then it is the URL, e.g. its bucket, that is not there
                        raise
                    continue  # it was removed meanwhile
                copied[name] = _Copied(status.st_size, status.st_mtime_ns, version)
                sent += 1
            for name in [name for name in copied if not (self.directory / name).exists()]:
                if _passes(name):
                    with contextlib.suppress(FileNotFoundError):
                        self._files.rm_file(self._address(name))
                    del copied[name]
        return sent

    def unsent(self, copied: Mapping[str, _Copied] | None = None) -> list[str]:
        """The names of the files that are new here, in the order in which they are sent."""
        known = self._read_state() if copied is None else copied
        names = []
        for folder, folders, files in os.walk(self.directory):
            inner = Path(folder).relative_to(self.directory)
            folders[:] = [name for name in folders if inner != Path() or name not in _HERE]
            for file in files:
                name = (inner / file).as_posix()
                # Files that are not whole yet are hidden.
                if not file.startswith(".") and not (
                    name in known and known[name].same_here(self.directory / name)
                ):
                    names.append(name)
        return sorted(names, key=lambda name: (PurePosixPath(name).name in _LAST, name))

    @cached_property
    def _located(self) -> tuple[AbstractFileSystem, str]:
        import fsspec

        try:
            files, root = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            rule = f"{self.url.partition(':')[0]}:// needs a package"
            raise UsageError(rule, str(error), "install it beside effbench") from error
        except ValueError as error:
            known = "a folder, or a URL like gs://bucket/results or s3://bucket/results"
            raise UsageError(f"results are in {known}", f"{self.url}: {error}", "name one") from (
                error
            )
        return files, str(root).rstrip("/")

    @property
    def _files(self) -> AbstractFileSystem:
        return self._located[0]

    @property
    def _single_put(self) -> bool:
        """Whether one put replaces a file as a whole."""
        protocol = self._files.protocol
        names = (protocol,) if isinstance(protocol, str) else protocol
        return any(name in _SINGLE_PUT for name in names)

    def _address(self, name: str) -> str:
        return f"{self._located[1]}/{name}"

    def _listed(self) -> dict[str, str]:
        """The versions of the files at the URL, by their names."""
        files, root = self._located
        files.invalidate_cache()
        try:
            listed = files.find(root, detail=True)
        except FileNotFoundError:
            return {}
        if root in listed:
            raise EffbenchError("results are in a folder", f"the file {self.url}", "name a folder")
        names = {path[len(root) :].lstrip("/"): about for path, about in listed.items()}
        return {
            name: _version(about)
            for name, about in names.items()
            if not (_first(name) in _HERE or PurePosixPath(name).name.startswith("."))
        }

    def _bring(self, name: str, path: Path) -> None:
        part = path.with_name(f".{path.name}.{writer()}.tmp")
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._files.get_file(self._address(name), str(part))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

    def _send(self, path: Path, name: str) -> None:
        files, address = self._files, self._address(name)
        if self._single_put:
            files.put_file(str(path), address)
            return
        folder, _, file = address.rpartition("/")
        part = f"{folder}/.{file}.{writer()}.tmp"
        files.makedirs(folder, exist_ok=True)
        files.put_file(str(path), part)
        files.mv(part, address)

    @contextmanager
    def _copied(self) -> Iterator[dict[str, _Copied]]:
        """What is known of both sides, while no other process of this machine changes it."""
        with locks.held(self.directory / _LOCK, silent, ""):
            copied = self._read_state()
            before = dict(copied)
            try:
                yield copied
            finally:
                if copied != before:
                    text = {name: [*vars(file).values()] for name, file in copied.items()}
                    write_atomically(self.directory / _STATE, json.dumps(text).encode())

    def _read_state(self) -> dict[str, _Copied]:
        try:
            text = (self.directory / _STATE).read_bytes()
        except FileNotFoundError:
            return {}
        return {name: _Copied(*values) for name, values in json.loads(text).items()}

    @contextmanager
    def _reached(
        self, what: str, hint: str = _REMEDY, kind: type[EffbenchError] = EffbenchError
    ) -> Iterator[None]:
        """Turns what a file system raises, each in its own words, into one line."""
        try:
            yield
        except EffbenchError:
            raise
        except Exception as error:
            received = f"{type(error).__name__}: {one_line(str(error))[:200]}"
            raise kind(f"cannot {what} {self.url}", received, hint) from error


def _passes(name: str) -> bool:
    """Whether a file may be removed at the URL since it was removed here."""
    return _first(name) == ".checkpoints" or PurePosixPath(name).name in _PASSING


def _first(name: str) -> str:
    return name.partition("/")[0]


def _version(about: Mapping[str, object]) -> str:
    """What is another where a file was written again."""
    for key in _VERSIONS:
        if about.get(key):
            return str(about[key]).strip('"')
    times = (about[key] for key in _TIMES if about.get(key))
    return f"{about.get('size')} {next(times, '')}"
