import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from support.cifar import python2_pickle, write
from support.server import serving

from effbench.data.named import cifar100
from effbench.errors import DataError
from effbench.progress import silent


@pytest.fixture
def files(tmp_path, monkeypatch) -> dict[str, bytes]:
    """2,000 training and 200 test images in the official form."""
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    generator = np.random.default_rng(1)

    def batch(size: int) -> bytes:
        fine = generator.permutation(np.arange(size) % 100)
        rows = generator.integers(0, 256, (size, 3072), np.uint8)
        labels = {b"fine_labels": fine.tolist(), b"coarse_labels": [0] * size}
        return python2_pickle({b"data": rows, **labels})

    found = {"train": batch(2000), "test": batch(200)}
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in found.items()}
    monkeypatch.setattr(cifar100, "TRAIN_MD5", {"train": md5["train"]})
    monkeypatch.setattr(cifar100, "TEST_MD5", {"test": md5["test"]})
    return found


def test_the_classes_are_those_of_the_official_file():
    assert len(cifar100.CLASSES) == len(set(cifar100.CLASSES)) == 100
    assert tuple(sorted(cifar100.CLASSES)) == cifar100.CLASSES


def test_a_tenth_of_each_class_is_held_out(files, tmp_path):
    folder = write(tmp_path / "x" / cifar100.ARCHIVE.folder, files)
    for place in (folder, folder.parent):
        dataset = cifar100.load(place, silent)
        counts = [np.bincount(split.labels).tolist() for split in dataset.splits]
        assert counts == [[18] * 100, [2] * 100, [2] * 100]
        held = np.concatenate([dataset.train.index, dataset.validation.index])
        assert sorted(held) == list(range(2000))
        assert dataset.train.images.shape == (1800, 32, 32, 3)
    assert cifar100.at_hand(None) is None
    at_hand = cifar100.at_hand(folder)
    assert at_hand is not None
    np.testing.assert_array_equal(at_hand.images, dataset.test.images)


def test_it_is_downloaded_and_checked(files, monkeypatch):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with serving({"cifar-100-python.tar.gz": buffer.getvalue()}) as url:
        monkeypatch.setenv("EFFBENCH_CIFAR100_URL", f"{url}/cifar-100-python.tar.gz")
        with pytest.raises(DataError, match="another md5 than the published one"):
            cifar100.load(None, silent)
        md5 = hashlib.md5(buffer.getvalue()).hexdigest()
        monkeypatch.setattr(cifar100, "ARCHIVE", replace(cifar100.ARCHIVE, md5=md5))
        assert len(cifar100.load(None, silent).test.labels) == 200


def test_another_file_is_named(files, tmp_path):
    folder = write(tmp_path / "x", files | {"test": files["test"][:-1] + b"x"})
    with pytest.raises(DataError, match="test is not the published CIFAR-100 file"):
        cifar100.load(folder, silent)
