"""A small CIFAR-10 in the official format."""

import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from effbench.data.named import cifar10

FOLDER = "cifar-10-batches-py"


TRAIN = [f"data_batch_{number}" for number in range(1, 6)]


BATCHES = [*TRAIN, "test_batch"]


def python2_pickle(value: object) -> bytes:
    """Protocol 2, as Python 2 and its numpy wrote the official files: byte strings all over."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: object) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_opcodes, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_opcodes, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(part) for pair in value.items() for part in pair) + b"u"
    assert isinstance(value, np.ndarray)
    assert value.dtype == np.uint8
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _opcodes((0,))
    dtype = b"cnumpy\ndtype\n" + _opcodes((b"u1", 0, 1)) + b"R"
    dtype += _opcodes((3, b"|", None, None, None, -1, -1, 0)) + b"b"
    state = b"(" + _opcodes(1) + _opcodes(value.shape) + dtype + _opcodes(False)
    return empty + _opcodes(b"b") + b"tR" + state + _opcodes(value.tobytes()) + b"tb"


def batch(images: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch file of images uint8 [n, 32, 32, 3]."""
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), 3072)
    return python2_pickle(
        {
            b"batch_label": b"training batch 1 of 5",
            b"labels": [int(label) for label in labels],
            b"data": rows,
            b"filenames": [b"leptodactylus_pentadactylus_s_000004.png"] * len(images),
        }
    )


def small_cifar10(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of 6 batches of `size` each, the test batch last."""
    generator = np.random.default_rng(size)
    images = generator.integers(0, 256, (6 * size, 32, 32, 3), np.uint8)
    return images, generator.permutation(np.arange(6 * size) % 10).astype(np.uint8)


def contents(images: np.ndarray, labels: np.ndarray) -> dict[str, bytes]:
    parts = zip(np.split(images, 6), np.split(labels, 6), strict=True)
    return {name: batch(*part) for name, part in zip(BATCHES, parts, strict=True)}


def publish(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """Makes these files the published ones."""
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(cifar10, "TRAIN_MD5", {name: md5[name] for name in TRAIN})
    monkeypatch.setattr(cifar10, "TEST_MD5", {"test_batch": md5["test_batch"]})


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
