"""A results argument: a folder, or a URL. Of a URL commands see the working copy on this machine.

It is brought up to date before the command, and what the command writes is sent while it runs. A
URL that cannot be written is refused before the command begins.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from effbench import remote_folder
from effbench.cli.console import warn
from effbench.errors import EffbenchError, Interrupted, UsageError
from effbench.remote_folder import RemoteFolder, UnsentError

if TYPE_CHECKING:
    from effbench.sweep.events import Event, Listen

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
    if remote_folder.is_url(str(text)):
        if not str(text).rpartition("://")[2].strip("/"):
            raise typer.BadParameter(f"the URL '{text}' names no folder; write {text}results")
        return RemoteFolder(str(text)).directory
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise typer.BadParameter(f"dir '{path}' is a file")
    # A folder of such a name would be somewhere else than where it seems to be.
    scheme, _, address = str(text).partition(":/")
    if address and len(scheme) > 1 and scheme.isalnum() and not path.exists():
        raise typer.BadParameter(f"'{text}' is no URL; write {scheme}://{address}")
    return path


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


def send(directory: Path) -> None:
    """Sends what is new, if the folder is the working copy of a URL: then it can be called saved.

    Raises:
        UnsentError: not all could be sent.
    """
    remote = remote_folder.opened(directory)
    if remote is not None:
        remote.push()


def not_sent_yet(directory: Path, listen: Listen) -> Listen:
    """Calls no run saved that is only in the working copy of a URL: once `send` is done, it is."""

    def heard(event: Event) -> None:
        kept = event.state == "saved"
        listen(replace(event, state="kept", text="here, and sent next") if kept else event)

    return heard if remote_folder.opened(directory) else listen


@contextmanager
def in_step(context: Any) -> Iterator[None]:
    """Brings the working copies of a command up to date, and sends what is new in them.

    Raises:
        EffbenchError: a URL cannot be read or written, or not all could be sent.
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
        if name in _WRITES and not context.params.get("dry_run"):
            results = remote_folder.opened(Path(context.params["results"]))
            if results is not None:
                results.check()
                stack.enter_context(_sent(results))
        yield


@contextmanager
def _sent(remote: RemoteFolder) -> Iterator[None]:
    """Sends what is new, again and again, and once more at the end."""
    ended = threading.Event()
    said: list[str] = []

    def send_again() -> None:
        while not ended.wait(EVERY_SECONDS):
            try:
                remote.push()
            except EffbenchError as error:  # tried again in a moment
                if not said:
                    warn(str(error))
                    said.append(str(error))

    sender = threading.Thread(target=send_again, daemon=True)
    sender.start()
    try:
        yield
    except UnsentError:
        _end(sender, ended)
        raise
    except BaseException as problem:
        _end(sender, ended)
        try:
            remote.push()
        except EffbenchError as error:
            if isinstance(problem, Interrupted):  # whose own line says that all is saved
                raise Interrupted(str(error)) from problem
            warn(str(error))
        raise
    _end(sender, ended)
    remote.push()


def _end(sender: threading.Thread, ended: threading.Event) -> None:
    ended.set()
    sender.join()
