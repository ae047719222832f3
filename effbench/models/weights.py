"""Weights: found or downloaded, the file checked, loaded, and what was loaded checked again.

The package's own loader goes on with random weights when a download fails, and skips tensors that
do not fit, so nothing of it is used here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from effbench import cache, whereabouts
from effbench.config.run_spec import WeightsId
from effbench.config.variants import RELEASES, VARIANTS, Release, Variant
from effbench.data.inspecting.listing import some
from effbench.errors import UsageError, WeightsError
from effbench.progress import Report

if TYPE_CHECKING:
    import h5py

    from effbench.hardware.tensorflow_setup import keras

HINT = "get the file from a machine with network and name its folder with --weights-dir"
RANDOM = "none"
SUFFIXES = (".h5", ".hdf5")
# The name of a release's classifier, whose tensors a backbone does not have.
TOP = "predictions"


@dataclass(frozen=True)
class WeightsSource:
    """What the command line asks for: a release, random weights, or one file.

    Attributes:
        name: a name of `variants.RELEASES`, "auto" or "none"; unused with `path`.
        path: a file named by hand.
        rescale: "torch" or "tf" for a file whose rescaling cannot be told, or "auto".
    """

    name: str
    path: Path | None
    rescale: str

    @classmethod
    def parse(cls, text: str, rescale: str) -> WeightsSource:
        """Reads `--weights`: a name first, then a path.

        Raises:
            UsageError: it is neither.
        """
        if text in ("auto", RANDOM, *RELEASES):
            return cls(text, None, rescale)
        path = Path(text)
        if path.suffix in SUFFIXES or path.is_file():
            return cls("", path, rescale)
        raise UsageError(
            "unknown weights",
            text,
            f"choose auto, {', '.join(RELEASES)}, none, or name an .h5 file",
        )

    def identify(self, variant: Variant) -> WeightsId:
        """The identity of these weights for one network, without downloading anything.

        Raises:
            UsageError: the network has no such release, or the rescaling must be said.
            WeightsError: the named file is not there.
        """
        if self.path is None:
            if self.name == RANDOM:
                return WeightsId(RANDOM, "", variant.rescale)
            release = variant.release(self.name)
            return WeightsId(release.name, f"md5:{release.md5}", release.rescale)
        md5, sha256 = _digests(self.path)
        for row in VARIANTS.values():
            for release in row.releases.values():
                if release.md5 == md5 and row != variant:
                    received = f"{self.path.name} is {row.name}'s {release.name}"
                    hint = f"run it with --variants {row.name}"
                    raise UsageError(f"these are not weights of {variant.name}", received, hint)
                if release.md5 == md5:
                    return WeightsId(release.name, f"md5:{md5}", release.rescale)
        return self._foreign(variant, sha256)

    def _foreign(self, variant: Variant, sha256: str) -> WeightsId:
        """A file that is no release: its name may say which one it comes from, or the user does."""
        assert self.path is not None
        named = [
            release
            for release in variant.releases.values()
            if self.path.stem.removesuffix("-notop") == Path(release.file).stem
        ]
        if named:
            rescale = named[0].rescale if self.rescale == "auto" else self.rescale
            return WeightsId(named[0].name, f"sha256:{sha256}", rescale)
        if self.rescale == "auto":
            _read(self.path)  # what is no file of weights at all is told first
            raise UsageError(
                "cannot tell which input rescaling these weights expect",
                self.path.name,
                "say --rescale torch (ImageNet mean and std) or --rescale tf (x/128 - 1)",
            )
        return WeightsId("file", f"sha256:{sha256}", self.rescale)


@dataclass(frozen=True)
class File:
    """A checked file of weights."""

    path: Path
    sha256: str


def find(
    source: WeightsSource,
    weights: WeightsId,
    variant: Variant,
    directory: Path | None,
    report: Report,
) -> File:
    """The file of `weights`: the one named, in `directory`, in a cache, or downloaded.

    Args:
        source: what the command line asked for.
        weights: its identity for this network; not random.
        variant: the network.
        directory: searched first, by the release's file name.
        report: told of a download as it comes.

    Raises:
        WeightsError: it cannot be had, or is not what it should be.
    """
    if source.path is not None:
        md5, sha256 = _digests(source.path)
        if weights.digest not in (f"md5:{md5}", f"sha256:{sha256}"):
            hint = f"start again; {weights.digest} was meant"
            raise WeightsError("the file of weights has changed", str(source.path), hint)
        whereabouts.remember(sha256, source.path)
        return File(source.path, sha256)
    release = variant.release(weights.name)
    caches = [cache.keras() / "models" / "efficientnetv2", cache.downloads()]
    for folder in [*([directory] if directory else []), *caches]:
        path = folder / release.file
        if path.is_file():
            return _checked(path, release)
    from effbench.data.named.download import download

    url = f"{os.environ.get('EFFBENCH_WEIGHTS_URL') or variant.url}/{release.file}"
    hint = _what_lies_there(directory, release) if directory else HINT
    path = download(url, cache.downloads() / release.file, release.md5, WeightsError, hint, report)
    return _checked(path, release)


def _what_lies_there(directory: Path, release: Release) -> str:
    """What was looked for in --weights-dir, and what is there instead."""
    names = sorted(path.name for path in directory.glob("*") if path.suffix in SUFFIXES)
    others = f" but {some(names)}; --weights FILE takes a file of any name" if names else ""
    return f"{some([str(directory)])} (--weights-dir) has no {release.file}{others or f'; {HINT}'}"


def load(model: keras.Model, path: Path) -> int:
    """Loads a Keras HDF5 file into a backbone and compares every tensor with the file.

    Args:
        model: a backbone, with its top or without.
        path: the file; it may have the top as well, and nothing else that the backbone has not.

    Returns:
        The number of tensors compared.

    Raises:
        WeightsError: the file is broken, or a tensor is missing, left over, or of another shape.
    """
    tensors = _read(path)
    fits = f"the weights do not fit {model.name}"
    wanted = {_tensor_name(variable.name): variable for variable in model.weights}
    missing = sorted(wanted.keys() - tensors.keys())
    left_over = sorted(name for name in tensors.keys() - wanted.keys() if TOP not in name)
    if missing and all(name.startswith(TOP) for name in missing):
        raise _without_classifier(path)
    if missing or left_over:
        lacking = f"{path.name} lacks {_some(missing)}" if missing else ""
        extra = f"{path.name} has {_some(left_over)} besides" if left_over else ""
        raise WeightsError(fits, "; ".join(filter(None, (lacking, extra))), _OTHER_VARIANT)
    for name, variable in wanted.items():
        if tuple(variable.shape) != tensors[name].shape:
            received = f"{name} is {tensors[name].shape}, not {tuple(variable.shape)}"
            raise WeightsError(fits, received, _OTHER_VARIANT)
        if not np.isfinite(tensors[name]).all():
            raise WeightsError("weights must be finite", f"{path.name}: {name}", _ANOTHER)
    # By the tensors' names; Keras's own loader picks a format by the name of the file.
    model.set_weights([tensors[_tensor_name(variable.name)] for variable in model.weights])
    for name, variable in wanted.items():
        # Reduced precision keeps float32 variables, so equality is exact.
        if not np.array_equal(variable.numpy(), tensors[name]):
            raise WeightsError("a tensor differs from the file after loading", name, HINT)
    return len(wanted)


def classifies(path: Path) -> None:
    """Makes sure that a file has a classifier, by its table of contents.

    Raises:
        WeightsError: it has none, or is no file of weights.
    """
    with _layers(path) as layers:
        names = [_text(name) for name in layers.attrs["layer_names"]]
    if TOP not in names:
        raise _without_classifier(path)


def _without_classifier(path: Path) -> WeightsError:
    hint = "name a release; a file that ends in -notop has none"
    return WeightsError("the weights are without a classifier", path.name, hint)


def verified(model: keras.Model, path: Path, identity: WeightsId) -> str:
    """Loads a file as `load` does, and says how its tensors were checked."""
    compared = load(model, path)
    origin = "md5 of the release" if identity.released else "a file named by hand"
    return f"{origin}; {compared} tensors equal to the file's"


_ANOTHER = "it may be damaged: get it once more, or name another file with --weights"
_OTHER_VARIANT = "name the file of this very variant; effbench variants lists them"


def _read(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a Keras HDF5 file, by layer and weight name."""
    tensors: dict[str, np.ndarray] = {}
    with _layers(path) as layers:
        for layer in layers.attrs["layer_names"]:
            group = layers[_text(layer)]
            for weight in group.attrs["weight_names"]:
                tensors[_tensor_name(_text(weight))] = np.asarray(group[_text(weight)])
    return tensors


@contextmanager
def _layers(path: Path) -> Iterator[h5py.Group]:
    """The group of a Keras HDF5 file that has a group for each layer."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file.get("model_weights", file)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            "not a readable Keras HDF5 file of weights", f"{path} ({error})", _ANOTHER
        ) from error


def _tensor_name(name: str) -> str:
    return name.removesuffix(":0")


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _some(names: list[str]) -> str:
    return f"{len(names)} tensors, {names[0]} the first"


def _checked(path: Path, release: Release) -> File:
    md5, sha256 = _digests(path)
    if md5 != release.md5:
        received = f"{path} has md5 {md5}"
        hint = "delete it and it is downloaded again, or name it with --weights to use it anyway"
        raise WeightsError(f"{release.file} is not the release (md5 {release.md5})", received, hint)
    return File(path, sha256)


def _digests(path: Path) -> tuple[str, str]:
    """MD5 and SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise WeightsError("cannot read the weights", str(error), "name an .h5 file") from error
    return md5.hexdigest(), sha256.hexdigest()
