"""Flowers and Cars from small archives in the form of the published ones."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.io import savemat
from support.pictures import encoded, noise, put
from support.server import serving

from effbench import cache
from effbench.data import datasets
from effbench.data.named import cars, flowers102
from effbench.data.named.published_files import PublishedFile, unpacked
from effbench.data.splits import Dataset
from effbench.errors import DataError
from effbench.progress import silent

FLOWERS = ("IMAGES", "LABELS", "SETS")
CARS = ("TRAIN", "TEST", "DEVKIT", "TEST_LABELS")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))


def archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def mat(**values: object) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, values)
    return buffer.getvalue()


def flower_files() -> dict[str, bytes]:
    """90 images of 3 classes: 15 of each train or validate, 15 of each test."""
    numbers = np.random.default_rng(1).permutation(np.arange(1, 91))
    labels = np.empty(90, int)
    labels[numbers - 1] = np.arange(90) % 3 + 1
    images = {f"jpg/image_{n:05d}.jpg": encoded(noise(int(n)), "JPEG") for n in range(1, 91)}
    return {
        "102flowers.tgz": archive(images),
        "imagelabels.mat": mat(labels=labels),
        "setid.mat": mat(trnid=numbers[:21], valid=numbers[21:45], tstid=numbers[45:]),
    }


def annotations(count: int, classes: bool) -> np.ndarray:
    rows = [
        (1, 2, 3, 4, *([number % 2 + 1] if classes else []), f"{number + 1:05d}.jpg")
        for number in range(count)
    ]
    names = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", *(["class"] if classes else []), "fname"]
    return np.array(rows, dtype=[(name, object) for name in names])


def car_files() -> dict[str, bytes]:
    def photos(folder: str, count: int, seed: int) -> bytes:
        return archive(
            {f"{folder}/{n + 1:05d}.jpg": encoded(noise(seed + n), "JPEG") for n in range(count)}
        )

    devkit = {
        "devkit/cars_meta.mat": mat(class_names=np.array(["Volvo C30", "AM General"], object)),
        "devkit/cars_train_annos.mat": mat(annotations=annotations(40, True)),
        "devkit/cars_test_annos.mat": mat(annotations=annotations(6, False)),
    }
    return {
        "cars_train.tgz": photos("cars_train", 40, 100),
        "cars_test.tgz": photos("cars_test", 6, 200),
        "car_devkit.tgz": archive(devkit),
        "cars_test_annos_withlabels.mat": mat(annotations=annotations(6, True)),
    }


def publish(
    patch: pytest.MonkeyPatch, module: ModuleType, names: tuple[str, ...], files: dict, url: str
) -> None:
    for name in names:
        file: PublishedFile = getattr(module, name)
        md5 = hashlib.md5(files[file.name]).hexdigest()
        patch.setattr(module, name, replace(file, md5=md5, url=f"{url}/{file.name}"))


DATASETS = {"flowers102": (flowers102, FLOWERS), "cars": (cars, CARS)}


@pytest.fixture(params=DATASETS)
def module(request, monkeypatch, tmp_path) -> Iterator[ModuleType]:
    """A dataset whose files are on a server, and in the folder `given`."""
    found, names = DATASETS[request.param]
    files = flower_files() if found is flowers102 else car_files()
    for name, content in files.items():
        put(tmp_path / "given" / name, content)
    with serving(files) as url:
        publish(monkeypatch, found, names, files, url)
        yield found


def check(dataset: Dataset, module: ModuleType) -> None:
    assert dataset.made == ("validation",)
    sizes = [len(split.images) for split in dataset.splits]
    if module is flowers102:
        assert dataset.classes == ("1", "2", "3")
        assert sizes == [39, 6, 45]  # of 15 of each class, 2
        files = flower_files()
        assert dataset.sha256
        numbers = [int(name[-9:-4]) for name in dataset.test.images.names]
        from scipy.io import loadmat

        labels = loadmat(io.BytesIO(files["imagelabels.mat"]), squeeze_me=True)["labels"]
        sets = loadmat(io.BytesIO(files["setid.mat"]), squeeze_me=True)
        assert set(numbers) == set(sets["tstid"])
        np.testing.assert_array_equal(dataset.test.labels + 1, labels[np.array(numbers) - 1])
    else:
        assert dataset.classes == ("Volvo C30", "AM General")
        assert sizes == [36, 4, 6]
        assert dataset.test.images.names[0] == "cars_test/00001.jpg"
        np.testing.assert_array_equal(dataset.test.labels, np.arange(6) % 2)


def test_it_is_downloaded_once_and_unpacked(module, tmp_path, monkeypatch):
    check(dataset := module.load(None, silent), module)
    monkeypatch.setattr("effbench.data.named.published_files._unpack", None)
    check(module.load(None, silent), module)
    monkeypatch.setattr("effbench.data.named.download.download", None)
    at_hand = datasets.at_hand(module.__name__.rpartition(".")[2])
    assert at_hand.images.names == dataset.test.images.names


def test_it_is_read_from_archives_without_a_network(module, tmp_path, monkeypatch):
    monkeypatch.setattr("effbench.data.named.download.download", None)
    name = module.__name__.rpartition(".")[2]
    assert datasets.at_hand(name) is None
    check(dataset := module.load(tmp_path / "given", silent), module)
    at_hand = datasets.at_hand(name, tmp_path / "given")
    assert at_hand.images.names == dataset.test.images.names


def test_all_missing_files_are_named_at_once(module, tmp_path):
    _, names = DATASETS[module.__name__.rpartition(".")[2]]
    files = [getattr(module, name).name for name in names]
    kept, *missing = files
    for name in missing:
        (tmp_path / "given" / name).unlink()
    with pytest.raises(DataError) as error:
        module.load(tmp_path / "given", silent)
    rule, _, rest = str(error.value).partition(" in --data-dir: ")
    assert sorted(rule.removeprefix("no ").split(", ")) == sorted(missing)
    assert kept not in rule
    assert "(Kaggle, the Internet Archive" in rest, "where the published page is gone"


def test_it_is_read_from_unpacked_folders(module, tmp_path, monkeypatch):
    given = tmp_path / "given"
    for path in given.glob("*.tgz"):
        with tarfile.open(path) as tar:
            tar.extractall(given, filter="data")
        path.unlink()
    check(module.load(given, silent), module)
    assert not (cache.downloads()).exists()


def test_a_file_that_is_not_there_or_another_one_is_named(module, tmp_path):
    path = next((tmp_path / "given").glob("*s.mat"))
    path.write_bytes(b"x")
    with pytest.raises(DataError, match=rf"not the published file \(md5 .*{path.name} with md5 "):
        module.load(tmp_path / "given", silent)
    path.unlink()
    with pytest.raises(DataError, match=f"no {path.name} in --data-dir: .*--data-dir"):
        module.load(tmp_path / "given", silent)


@pytest.mark.parametrize("name", DATASETS)
def test_a_dead_address_says_where_else_it_can_be_had(name, monkeypatch):
    module, names = DATASETS[name]
    with serving({}) as url:
        for constant in names:
            file = getattr(module, constant)
            monkeypatch.setattr(module, constant, replace(file, url=f"{url}/{file.name}"))
        with pytest.raises(DataError, match=r"answered 404 .*--data-dir"):
            module.load(None, silent)


# --- unpacking ------------------------------------------------------------------------------------


def packed(content: bytes, tmp_path: Path) -> PublishedFile:
    put(tmp_path / "given" / "a.tgz", content)
    return PublishedFile("a.tgz", "", hashlib.md5(content).hexdigest(), "inside")


def refused(content: bytes, tmp_path: Path) -> str:
    file = packed(content, tmp_path)
    with pytest.raises(DataError) as caught:
        unpacked("things", [file], tmp_path / "given", "get it elsewhere", silent)
    assert not list((cache.downloads() / "things").iterdir()), "something is left behind"
    return str(caught.value)


@pytest.mark.parametrize("name", ["../../out.txt", "inside/../../../out.txt", "/tmp/../out.txt"])
def test_paths_that_climb_out_are_refused(name, tmp_path):
    line = refused(archive({"inside/x": b"x", name: b"evil"}), tmp_path)
    assert line.startswith("not a whole archive, or one that would write elsewhere: ")
    assert not list(tmp_path.rglob("out.txt"))


def test_links_that_lead_out_are_refused(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("inside")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    assert "would write elsewhere" in refused(buffer.getvalue(), tmp_path)


def test_an_archive_that_is_cut_off_leaves_nothing(tmp_path):
    whole = archive({f"inside/{number}": noise(number).tobytes() for number in range(50)})
    assert "not a whole archive" in refused(whole[: len(whole) // 2], tmp_path)
    assert "not a whole archive" in refused(b"<html>", tmp_path)


def test_an_archive_of_something_else(tmp_path):
    line = refused(archive({"other/x": b"x"}), tmp_path)
    assert line.startswith("no folder inside in the archive: ")
