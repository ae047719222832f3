"""A results argument: a folder, or a URL. Of a URL commands see the working copy on this machine.

It is brought up to date before the command, and what the command writes is sent while it runs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import typer

from effbench import remote_folder
from effbench.cli.console import warn
from effbench.errors import EffbenchError, UsageError
from effbench.remote_folder import RemoteFolder

# The time between two looks at what is new here.
EVERY_SECONDS = 10.0

# The commands that write, or need more than records: what of the large files they can do without.
_MODELS, _CHECKPOINTS = "models", ".checkpoints"
_WRITES: Mapping[str, tuple[str, ...]] = {
    "sweep": (_MODELS,),
    "merge": (_CHECKPOINTS,),
    "imagenet": (_MODELS, _CHECKPOINTS),
}
_NEEDS_MODELS = ("export", "evaluate")


def folder(text: str | Path) -> Path:
    """The folder of an argument, for the command's parser."""
    if not remote_folder.is_url(str(text)):
        path = Path(text)
        if path.exists() and not path.is_dir():
            raise typer.BadParameter(f"dir '{path}' is a file")
        return path
    return RemoteFolder(str(text)).directory


def folder_or_name(text: str) -> str:
    """The same for an argument that may also name something else."""
    return str(folder(text)) if remote_folder.is_url(text) else text


def refuse_url(directory: Path, what: str) -> None:
    """Makes sure that results are in a folder that machines can share.

    Raises:
        UsageError: they are at a URL.
    """
    remote = remote_folder.opened(directory)
    if remote is not None:
        rule = f"{what} needs a folder that all its machines share, for leases"
        raise UsageError(rule, remote.url, "name a folder; 'effbench merge' sends it to a URL")


@contextmanager
def in_step(context: Any) -> Iterator[None]:
    """Brings the working copies of a command up to date, and sends what is new in them.

    Raises:
        EffbenchError: a URL cannot be read, or not all could be sent.
    """
    name = str(context.info_name)
    values = chain.from_iterable(
        value if isinstance(value, list | tuple) else [value] for value in context.params.values()
    )
    folders = {Path(value) for value in values if isinstance(value, str | Path)}
    remotes = [remote for path in folders if (remote := remote_folder.opened(path))]
    usual = (_CHECKPOINTS,) if name in _NEEDS_MODELS else (_MODELS, _CHECKPOINTS)
    with ExitStack() as stack:
        for remote in remotes:
            remote.pull(_WRITES.get(name, usual))
            if name in _WRITES:
                stack.enter_context(_sent(remote))
        yield


@contextmanager
def _sent(remote: RemoteFolder) -> Iterator[None]:
    """Sends what is new, again and again, and once more at the end."""
    ended = threading.Event()
    said: list[str] = []

    def send() -> None:
        while not ended.wait(EVERY_SECONDS):
            try:
                remote.push()
            except EffbenchError as error:  # tried again in a moment
                if not said:
                    warn(str(error))
                    said.append(str(error))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    except BaseException:
        _end(sender, ended)
        try:
            remote.push()
        except EffbenchError as error:
            warn(str(error))
        raise
    _end(sender, ended)
    remote.push()


def _end(sender: threading.Thread, ended: threading.Event) -> None:
    ended.set()
    sender.join()
