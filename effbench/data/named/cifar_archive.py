"""Archives of CIFAR's python batches, https://www.cs.toronto.edu/~kriz/cifar.html."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from effbench import cache
from effbench.data.splits import Split
from effbench.errors import DataError
from effbench.progress import Report

Read = Callable[[str], bytes]

_BLOCK = 64


@dataclass(frozen=True)
class CifarArchive:
    """One of the two datasets as it was published.

    Attributes:
        title: "CIFAR-10" or "CIFAR-100".
        name: of the archive.
        md5: of the archive.
        folder: the folder in it.
        train: a file of training images in that folder.
        test: the file of test images.
        labels: what the batches call their labels.
    """

    title: str
    name: str
    md5: str
    folder: str
    train: str
    test: str
    labels: bytes

    @property
    def hint(self) -> str:
        """What a user without network can do."""
        return (
            f"get {self.name} from a machine with network and name it, or the folder it unpacks "
            "to, with --data-dir"
        )

    def local_copy(self) -> Path | None:
        """Keras's copy or ours, folder or archive; None where there is none."""
        datasets = cache.keras() / "datasets"
        for folder in (datasets / f"{self.folder}-target" / self.folder, datasets / self.folder):
            if (folder / self.test).is_file():
                return folder
        archive = cache.downloads() / self.name
        return archive if archive.is_file() else None

    def downloaded(self, url: str, report: Report) -> Path:
        """The archive, brought to our cache."""
        from effbench.data.named.download import download  # takes as long to load as all else here

        path = cache.downloads() / self.name
        return download(url, path, self.md5, DataError, self.hint, report)

    def opened(self, directory: Path | None, url: str, report: Report) -> Read:
        """A reader of what is in `directory`, else of a local copy, else of a download."""
        return self.reader(directory or self.local_copy() or self.downloaded(url, report))

    def at_hand(self, directory: Path | None, published: Mapping[str, str]) -> Split | None:
        """The images of some files, as `images` returns them; None where no copy is here."""
        source = directory or self.local_copy()
        return self.images(self.reader(source), published) if source else None

    def reader(self, source: Path) -> Read:
        """A function from a file's name to its bytes, for a folder or an archive."""
        folders = [source, source / self.folder]
        for folder in folders:
            if (folder / self.train).is_file():
                return lambda name: (folder / name).read_bytes()
        archives = [source] if source.is_file() else sorted(source.glob(self.name))
        if not archives:
            photos = f"{self.hint}; a folder of photos is named with --data"
            raise DataError(f"no {self.title} in --data-dir", str(source), photos)
        try:
            with tarfile.open(archives[0]) as tar:
                content = {
                    Path(member.name).name: file.read()
                    for member in tar
                    if (file := tar.extractfile(member)) is not None
                }
        except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
            raise DataError("not a whole tar.gz archive", str(archives[0]), self.hint) from error
        return content.__getitem__

    def images(self, read: Read, published: Mapping[str, str], *, checked: bool = True) -> Split:
        """All images of some files, in the order of the files.

        Args:
            read: as `reader` returns it.
            published: the md5 of each file, by name.
            checked: whether it is compared.
        """
        images, labels = [], []
        for name, md5 in published.items():
            batch = self.content(read, name, md5 if checked else "")
            images.append(_channels_last(np.asarray(batch[b"data"], np.uint8)))
            labels.append(np.asarray(batch[self.labels], np.uint8))
        together = np.concatenate(images) if len(images) > 1 else images[0]
        return Split(together, np.concatenate(labels), np.arange(len(together)))

    def content(self, read: Read, name: str, md5: str) -> dict[bytes, object]:
        """What a file holds, once it is known to be the published one, if its `md5` is given."""
        try:
            content = read(name)
        except (OSError, KeyError) as error:
            raise DataError(f"a {self.title} file is missing", name, self.hint) from error
        digest = md5 and hashlib.md5(content, usedforsecurity=False).hexdigest()
        if digest != md5:
            raise DataError(
                f"{name} is not the published {self.title} file (md5 {md5})",
                f"{len(content):,} bytes with md5 {digest}",
                self.hint,
            )
        return unpickle_arrays(content, self.hint)


def _channels_last(rows: np.ndarray) -> np.ndarray:
    """From uint8 [n, 3 * 32 * 32] to uint8 [n, 32, 32, 3]."""
    channels = rows.reshape(-1, 3, 32, 32)
    images = np.empty((len(channels), 32, 32, 3), np.uint8)
    # So few at a time stay in the cache of a core: five times as fast as all at once.
    for start in range(0, len(images), _BLOCK):
        block = slice(start, start + _BLOCK)
        for channel in range(3):
            images[block, ..., channel] = channels[block, channel]
    return images


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain containers, and nothing else: a pickle can run any code."""

    _ALLOWED: Mapping[tuple[str, str], object] = {
        ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def __init__(self, content: bytes, hint: str) -> None:
        super().__init__(BytesIO(content), encoding="bytes")
        self._hint = hint

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self._ALLOWED:
            rule = "a data file may hold numpy arrays only"
            raise DataError(rule, f"{module}.{name}", self._hint)
        return self._ALLOWED[module, name]


def unpickle_arrays(content: bytes, hint: str) -> dict[bytes, object]:
    """Reads a Python 2 pickle of arrays.

    Raises:
        DataError: it is broken or wants to build something else; `hint` says what to do.
    """
    try:
        batch = _ArrayUnpickler(content, hint).load()
    except DataError:
        raise
    except Exception as error:  # a broken pickle raises whatever it happens to hit
        raise DataError("a data file is not a whole pickle", repr(error), hint) from error
    if not isinstance(batch, dict):
        raise DataError("a data file must hold a dict", type(batch).__name__, hint)
    return batch
