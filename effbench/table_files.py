"""A measured table in two files: as Markdown, and beside it as JSON with every figure."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from effbench.errors import UsageError
from effbench.files import write_atomically, writing


def check(path: Path) -> None:
    """Makes sure that a table can be saved under this name, before it is measured.

    Raises:
        UsageError: its name is that of the JSON beside it, or a directory's.
        DiskError: no file can be written there.
    """
    if path.is_dir():
        raise UsageError("--output names a file", f"the folder {path}", "name a file in it")
    if path.suffix == ".json":
        raise UsageError(
            "--output names the Markdown file; the JSON stands beside it", str(path), "end in .md"
        )
    with writing(path.parent):
        home = next(folder for folder in path.absolute().parents if folder.exists())
        tempfile.TemporaryFile(dir=home).close()


def save(path: Path, text: str, document: object) -> None:
    """Writes a table; its folder is made where there is none.

    Args:
        path: of the Markdown.
        text: the Markdown, without a line end.
        document: what the JSON says.

    Raises:
        DiskError: the files cannot be written.
    """
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, f"{text}\n".encode())
    content = json.dumps(document, indent=1)
    write_atomically(path.with_suffix(".json"), f"{content}\n".encode())
