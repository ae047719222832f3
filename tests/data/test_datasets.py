import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from support.cifar import (
    BATCHES,
    FOLDER,
    contents,
    pack,
    publish,
    python2_pickle,
    small_cifar10,
    write,
)

from effbench.data import datasets
from effbench.data.named import cifar10, cifar100
from effbench.data.named.cifar_archive import unpickle_arrays
from effbench.data.splits import Dataset
from effbench.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def _no_cifar10_of_others(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def files(monkeypatch) -> dict[str, bytes]:
    found = contents(*small_cifar10(20))
    publish(monkeypatch, found)
    return found


def check(found: Dataset, size: int) -> None:
    """It is `small_cifar10(size)`, whole, in the case study's split."""
    images, labels = small_cifar10(size)
    positions = np.arange(5 * size)
    train, validation = train_test_split(positions, test_size=0.1, random_state=42)
    np.testing.assert_array_equal(found.train.index, train)
    np.testing.assert_array_equal(found.validation.index, validation)
    np.testing.assert_array_equal(found.test.index, np.arange(size))
    for split, offset in zip(found.splits, (0, 0, 5 * size), strict=True):
        assert split.images.dtype == split.labels.dtype == np.uint8
        np.testing.assert_array_equal(split.images, images[split.index + offset])
        np.testing.assert_array_equal(split.labels, labels[split.index + offset])


# --- CIFAR-10 -------------------------------------------------------------------------------------


def test_the_fake_has_the_format_of_the_official_files(files):
    assert files["data_batch_1"].startswith(b"\x80\x02}")
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in files["data_batch_1"]
    assert b"_codecs" not in files["data_batch_1"], "that is how Python 3 writes bytes"


@pytest.mark.parametrize("place", ["folder", "parent", "archive", "folder of the archive"])
def test_cifar10_is_read_from_where_it_is(place, files, tmp_path):
    if place in ("folder", "parent"):
        given = write(tmp_path / "x" / FOLDER, files)
        given = given if place == "folder" else given.parent
    else:
        given = pack(tmp_path / "cifar-10-python.tar.gz", files)
        given = given if place == "archive" else given.parent
    check(datasets.load("cifar10", given), 20)


@pytest.mark.parametrize("inner", [f"{FOLDER}-target/{FOLDER}", FOLDER])
def test_cifar10_is_found_in_the_cache_of_keras(inner, files, tmp_path):
    assert cifar10.ARCHIVE.local_copy() is None
    write(tmp_path / "keras" / "datasets" / inner, files)
    check(datasets.load("cifar10"), 20)


def test_cifar10_is_found_in_our_own_cache(files, tmp_path):
    (tmp_path / "cache" / "downloads").mkdir(parents=True)
    pack(tmp_path / "cache" / "downloads" / "cifar-10-python.tar.gz", files)
    check(datasets.load("cifar10"), 20)


def test_without_a_copy_it_is_downloaded_and_a_server_that_is_down_is_one_line():
    with pytest.raises(DataError) as caught:
        datasets.load("cifar10")
    assert str(caught.value).startswith("cannot download http://127.0.0.1:9/")
    assert "--data-dir" in str(caught.value)


def test_the_split_of_50_000_is_the_case_studys(monkeypatch, tmp_path):
    labels = (np.arange(60_000) % 10).astype(np.uint8)
    found = contents(np.zeros((60_000, 32, 32, 3), np.uint8), labels)
    publish(monkeypatch, found)
    dataset = datasets.load("cifar10", write(tmp_path / FOLDER, found))
    train, validation = train_test_split(np.arange(50_000), test_size=0.1, random_state=42)
    assert [len(split.labels) for split in dataset.splits] == [45_000, 5_000, 10_000]
    np.testing.assert_array_equal(dataset.train.index, train)
    np.testing.assert_array_equal(dataset.validation.index, validation)
    np.testing.assert_array_equal(dataset.validation.labels, validation % 10)


def refused(place: Path) -> str:
    with pytest.raises(DataError) as caught:
        datasets.load("cifar10", place)
    line = str(caught.value)
    assert "\n" not in line
    assert "--data-dir" in line
    return line


@pytest.mark.parametrize("name", BATCHES)
def test_a_corrupt_batch_is_named(name, files, tmp_path):
    changed = bytearray(files[name])
    changed[-1000] ^= 1
    place = write(tmp_path / FOLDER, files | {name: bytes(changed)})
    line = refused(place)
    assert line.startswith(f"{name} is not the published CIFAR-10 file (md5 ")


@pytest.mark.parametrize("name", BATCHES[1:])
@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_batch_is_named(name, packed, files, tmp_path):
    del files[name]
    place = tmp_path / FOLDER
    place = pack(tmp_path / "a.tar.gz", files) if packed else write(place, files)
    assert refused(place).startswith(f"a CIFAR-10 file is missing: {name};")


def test_an_empty_or_missing_folder_is_named(tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        line = refused(place)
        assert line.startswith(f"no CIFAR-10 in --data-dir: {place};")
        assert line.endswith("; a folder of photos is named with --data")


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.99])
def test_a_truncated_archive(keep, files, tmp_path):
    path = pack(tmp_path / "cifar-10-python.tar.gz", files)
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    assert refused(path).startswith("not a whole tar.gz archive: ")


@pytest.mark.parametrize("where", [0.02, 0.1, 0.5, 0.9])
def test_a_damaged_archive(where, monkeypatch, tmp_path):
    images, labels = small_cifar10(20)
    files = contents(images // 64, labels)  # compresses, so that gzip's own codes are hit
    publish(monkeypatch, files)
    path = pack(tmp_path / "cifar-10-python.tar.gz", files)
    content = bytearray(path.read_bytes())
    start = int(where * len(content))
    content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)
    refused(path)


def test_a_web_page_instead_of_the_archive(files, tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_text("<html>404</html>")
    assert refused(tmp_path).startswith("not a whole tar.gz archive: ")


class Evil:
    def __init__(self, function, *arguments):
        self.made = (function, arguments)

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", ["bare", "in a dict", "in a list"])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(
    protocol, where, files, tmp_path, monkeypatch
):
    mark = tmp_path / "it ran"
    evil = Evil(os.mkdir, str(mark))
    value = {"bare": evil, "in a dict": {"x": evil}, "in a list": {"data": [evil]}}[where]
    content = pickle.dumps(value, protocol)
    pickle.loads(content)
    assert mark.is_dir(), "the pickle is not evil"
    mark.rmdir()
    files["data_batch_3"] = content
    publish(monkeypatch, files)
    line = refused(write(tmp_path / FOLDER, files))
    assert line.startswith("a data file may hold numpy arrays only: ")
    assert "mkdir" in line
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("os", "system"),
        ("numpy", "fromfile"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
    ],
    ids=".".join,
)
def test_nothing_but_arrays_is_built(name):
    module, attribute = (text.encode() for text in name)
    with pytest.raises(DataError, match="numpy arrays only"):
        unpickle_arrays(
            b"\x80\x04\x8c" + bytes([len(module)]) + module
            + b"\x8c" + bytes([len(attribute)]) + attribute + b"\x93.",
            "",
        )  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x02", b"<html>", b"\x80\x02}(U\x04dat", b"\x80\x02K\x01Q.", b"\x80\x02b."],
)
def test_a_broken_pickle(content):
    with pytest.raises(DataError, match="not a whole pickle"):
        unpickle_arrays(content, "")


@pytest.mark.parametrize("value", [None, [b"data"], 7, np.zeros(3, np.uint8)])
def test_a_pickle_of_another_type(value):
    with pytest.raises(DataError, match="must hold a dict"):
        unpickle_arrays(python2_pickle(value), "")


def test_the_content_hash_changes_with_a_pixel_and_with_a_label(monkeypatch, tmp_path):
    def sha256(name: str, images: np.ndarray, labels: np.ndarray) -> str:
        files = contents(images, labels)
        publish(monkeypatch, files)
        return datasets.load("cifar10", write(tmp_path / name, files)).sha256

    images, labels = small_cifar10(10)
    pixel, label = images.copy(), labels.copy()
    pixel[-1, 31, 31, 2] ^= 1
    label[0] = (label[0] + 1) % 10
    found = [sha256("a", images, labels), sha256("b", pixel, labels), sha256("c", images, label)]
    assert len(set(found)) == 3
    assert sha256("d", images, labels) == found[0]


@pytest.mark.slow
def test_the_real_cifar10():
    place = os.environ.get("EFFBENCH_TEST_CIFAR10")
    if not place:
        pytest.skip("EFFBENCH_TEST_CIFAR10 does not name the folder of the real CIFAR-10")
    found = datasets.load("cifar10", Path(place))
    assert [len(split.labels) for split in found.splits] == [45_000, 5_000, 10_000]
    train, validation = train_test_split(np.arange(50_000), test_size=0.1, random_state=42)
    np.testing.assert_array_equal(found.train.index, train)
    np.testing.assert_array_equal(found.validation.index, validation)
    np.testing.assert_array_equal(np.bincount(found.test.labels), [1000] * 10)
    both = np.concatenate([found.train.labels, found.validation.labels])
    np.testing.assert_array_equal(np.bincount(both), [5000] * 10)
    # The well-known means of the training images, by channel.
    pixels = np.concatenate([found.train.images, found.validation.images])
    means = pixels.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=1e-4)


# --- digits, limits, names ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


def test_digits_are_the_real_ones(digits):
    source = load_digits()
    grey = np.round(source.images * 255 / 16).astype(np.uint8)
    everything = np.concatenate([split.index for split in digits.splits])
    assert sorted(everything) == list(range(1797)), "every image is in one split"
    for split in digits.splits:
        assert split.images.shape == (len(split.index), 32, 32, 3)
        assert split.images.dtype == split.labels.dtype == np.uint8
        for channel in range(3):
            blocks = split.images[..., channel].reshape(-1, 8, 4, 8, 4)
            np.testing.assert_array_equal(blocks.min(axis=(2, 4)), grey[split.index])
            np.testing.assert_array_equal(blocks.max(axis=(2, 4)), grey[split.index])
        np.testing.assert_array_equal(split.labels, source.target[split.index])
        assert set(split.labels) == set(range(10))
    assert digits.train.images.max() == 255


def test_digits_are_always_the_same(digits):
    again = datasets.load("digits")
    assert again.sha256 == digits.sha256
    np.testing.assert_array_equal(again.train.index, digits.train.index)


# 180 and 359 images of validation and test; close below them is where few images are left over.
LIMITS = [10, 11, 20, 39, 40, 43, 44, 100, 683, 684, 700, 719, 720, 1000, 1247, 1248, 1257]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_takes_as_many_as_it_says_stratified(limit, digits):
    limited = digits.limited(limit)
    small = max(10, limit // 4)
    assert len(limited.train.labels) == limit
    assert len(limited.validation.labels) == min(small, 180)
    assert len(limited.test.labels) == min(small, 359)
    assert limited.sha256 == digits.sha256
    for part, whole in zip(limited.splits, digits.splits, strict=True):
        share = np.bincount(whole.labels) * len(part.labels) / len(whole.labels)
        assert np.abs(np.bincount(part.labels, minlength=10) - share).max() <= 1
        assert len(set(part.index)) == len(part.index)
        place = {index: position for position, index in enumerate(whole.index)}
        chosen = [place[index] for index in part.index]
        np.testing.assert_array_equal(part.images, whole.images[chosen])
        np.testing.assert_array_equal(part.labels, whole.labels[chosen])


def test_a_limit_takes_the_same_images_each_time(digits):
    for one, other in zip(
        digits.limited(50).splits, datasets.load("digits").limited(50).splits, strict=True
    ):
        np.testing.assert_array_equal(one.index, other.index)


def test_no_limit_takes_all(digits):
    assert digits.limited(None) is digits


@pytest.mark.parametrize("limit", [-1, 0, 3, 9, 1258, 5000])
def test_an_impossible_limit_is_refused(limit, digits):
    with pytest.raises(UsageError) as caught:
        digits.limited(limit)
    assert f"10 (an image of each class) to 1,257 images: {limit};" in str(caught.value)


def test_the_outline_of_a_dataset_is_what_its_row_says(digits, tmp_path):
    outline = datasets.outline("digits")
    assert outline.counts == tuple(len(split.labels) for split in digits.splits)
    assert (outline.classes, outline.side) == (10, digits.train.images.shape[1])
    assert datasets.outline("cifar100").classes == len(cifar100.CLASSES)
    for name in ("flowers102", "cars"):
        assert datasets.outline(name).side is None
    assert datasets.outline("flowers102").pixels(224) == (224, 224, 3)
    with pytest.raises(UsageError, match="unknown dataset: mine"):
        datasets.outline("mine")


def test_an_unknown_dataset_is_refused_with_the_choice():
    with pytest.raises(UsageError, match="unknown dataset: mnist; choose from cifar10, cifar100, "):
        datasets.load("mnist")


def test_a_source_that_is_a_link_to_itself(tmp_path):
    (tmp_path / "photos").symlink_to("photos")
    with pytest.raises(UsageError, match="a link that leads back to itself: "):
        datasets.source(str(tmp_path / "photos"))
