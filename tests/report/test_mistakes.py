import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from support.cifar import contents, publish, small_cifar10, write
from support.pictures import fill
from support.records import complete, result, scores, spec

from effbench.config.geometry import Geometry
from effbench.data import datasets, photos
from effbench.data.named import cifar10, download
from effbench.data.pixels.fitting import fitted
from effbench.errors import DataError
from effbench.progress import silent
from effbench.records.record import Images, RunResult
from effbench.records.store import Store
from effbench.report import mistakes
from effbench.report.build import gather, rows
from effbench.report.mistakes import IMAGES_LISTED, Missed, Mistakes
from effbench.report.render import thumbnails
from effbench.report.sections import build

LABELS = np.array([0, 0, 1, 1, 2, 3], np.uint8)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def run(store: Store, answers: list[int], **arrays: np.ndarray) -> RunResult:
    """A run that gave these answers to images of the classes `LABELS`."""
    seed = len(store.folders())
    predicted = np.array(answers, np.uint8)
    probability = np.full((len(LABELS), 10), 0.05, np.float16)
    probability[np.arange(len(LABELS)), predicted % 10] = 0.55
    found = {"index": np.arange(len(LABELS), dtype=np.int32), "label": LABELS}
    found |= {"predicted": predicted, "probability": probability, **arrays}
    found["rank"] = (found["predicted"] != found["label"]).astype(np.uint8)
    chosen = spec(seed=seed, variant=("B0", "B1")[seed // 2])
    hits = int((found["rank"] == 0).sum())
    count = scores(hits, len(LABELS), len(LABELS))
    saved = store.save_predictions(
        chosen.key,
        {
            f"{split}_{name}": array
            for split in ("validation", "test")
            for name, array in found.items()
        },
    )
    record = result(count, count, spec=chosen, images=Images(9, 6, 6, 9), predictions=saved)
    store.save(record)
    return record


def find(store: Store) -> Mistakes:
    (section,) = build(rows(gather(store, store.load().results)[0]))
    return mistakes.find(store, section)


def test_counts_are_summed_over_the_seeds_of_a_row(store):
    run(store, [0, 1, 1, 1, 2, 3])
    run(store, [0, 1, 1, 0, 2, 5])
    (counts,) = find(store).confusions
    assert counts.shape == (10, 10)
    assert counts.sum() == 12
    assert (counts[0, 0], counts[0, 1], counts[1, 0], counts[3, 5]) == (2, 2, 1, 1)


def test_pairs_are_shares_of_the_true_class_over_all_rows(store):
    for answers in ([0, 1, 1, 1, 2, 3], [0, 1, 1, 1, 2, 3], [0, 1, 1, 0, 2, 5], [0, 1, 1, 1, 2, 5]):
        run(store, answers)
    found = [(pair.label, pair.answer, pair.share) for pair in find(store).pairs]
    assert found == [(0, 1, 0.5), (3, 5, 0.5), (1, 0, 0.125)]


def test_images_most_often_wrong_come_first_then_those_most_surely_wrong(store):
    sure = np.full((6, 10), 0.05, np.float16)
    sure[1, 0] = 0.4
    for answers in ([0, 1, 1, 9, 2, 7], [0, 1, 1, 9, 2, 8], [0, 2, 1, 1, 2, 7]):
        run(store, answers, probability=sure)
    found = find(store)
    assert found.runs == 3
    assert found.always == 2
    assert found.missed[0] == Missed(5, 3, 3, 7, 2, pytest.approx(0.05, abs=1e-3))
    assert [(each.index, each.wrong, each.answer) for each in found.missed] == [
        (5, 3, 7),
        (1, 3, 1),
        (3, 2, 9),
    ]


def test_positions_are_those_of_the_files(store):
    run(store, [1, 0, 1, 1, 2, 3], index=np.arange(6, dtype=np.int32)[::-1] + 100)
    assert [each.index for each in find(store).missed] == [105]


def test_a_row_without_predictions_is_left_out_and_named(store):
    for _ in range(3):
        last = run(store, [0, 1, 1, 1, 2, 3])
    (store.folder(last.spec.key) / last.predictions.file).unlink()
    found = find(store)
    assert found.confusions[1] is None
    assert found.runs == 2
    assert [remark.split(":")[0] for remark in found.remarks] == ["B1"]


@pytest.mark.parametrize(
    "arrays",
    [
        {"index": np.arange(6, dtype=np.int32) + 1},
        {"label": LABELS[::-1]},
        {"index": np.arange(5, dtype=np.int32)},
        {"label": LABELS + 10},
        {"probability": np.zeros((2, 10), np.float16)},
    ],
    ids=["other images", "other labels", "too short", "no such class", "other shape"],
)
def test_a_row_that_does_not_fit_is_left_out(store, arrays):
    run(store, [0, 1, 1, 1, 2, 3])
    run(store, [0, 1, 1, 1, 2, 3])
    run(store, [0, 1, 1, 1, 2, 3], **arrays)
    found = find(store)
    assert found.runs == 2
    assert len(found.remarks) == 1


def test_nothing_at_all_is_no_error(store):
    record = run(store, [0, 1, 1, 1, 2, 3])
    (store.folder(record.spec.key) / record.predictions.file).unlink()
    assert find(store) == Mistakes((None,), (), 0, 0, find(store).remarks)
    assert find(store).pairs == ()


def test_complete_records_agree_with_their_scores(store):
    record = complete(store)
    (counts,) = find(store).confusions
    assert counts.trace() == record.reported.test.correct
    assert len(find(store).missed) == min(
        IMAGES_LISTED, record.reported.test.total - record.reported.test.correct
    )


# --- thumbnails ----------------------------------------------------------------------------------


def missed(index: int, label: int) -> Missed:
    return Missed(index, label, 1, 9, 1, 0.1)


def pixels(uri: str) -> np.ndarray:
    content = uri.removeprefix("data:image/png;base64,")
    return np.array(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.fixture
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))

    def forbidden(*_: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(download, "download", forbidden)


def test_digits_come_with_scikit_learn():
    test = datasets.load("digits").test
    index, label = int(test.index[3]), int(test.labels[3])
    found, why = thumbnails.read("digits", None, [missed(index, label)])
    assert why == ""
    assert np.array_equal(pixels(found[index]), test.images[3])
    assert load_digits().target[index] == label


@pytest.mark.usefixtures("_own_cache")
def test_nothing_is_downloaded():
    found, why = thumbnails.read("cifar10", None, [missed(0, 0)])
    assert not found
    assert "--data-dir" in why


@pytest.mark.usefixtures("_own_cache")
def test_cifar10_is_read_from_the_folder_and_from_the_cache(tmp_path, monkeypatch):
    images, labels = small_cifar10(20)
    files = contents(images, labels)
    publish(monkeypatch, files)
    wanted = [missed(4, int(labels[104])), missed(17, int(labels[117]))]
    for folder, given in ((tmp_path / "own", True), (cifar10_in_keras(tmp_path), False)):
        write(folder, files)
        found, why = thumbnails.read("cifar10", folder if given else None, wanted)
        assert why == ""
        assert np.array_equal(pixels(found[17]), images[117])


def cifar10_in_keras(tmp_path):
    return tmp_path / "keras" / "datasets" / cifar10.ARCHIVE.folder


@pytest.mark.usefixtures("_own_cache")
def test_only_the_test_batch_is_read(tmp_path, monkeypatch):
    images, labels = small_cifar10(20)
    files = contents(images, labels)
    publish(monkeypatch, files)
    folder = write(tmp_path / "own", files | {"data_batch_3": b"broken"})
    assert thumbnails.read("cifar10", folder, [missed(0, int(labels[100]))])[1] == ""


@pytest.mark.usefixtures("_own_cache")
def test_other_labels_or_positions_are_no_thumbnails(tmp_path, monkeypatch):
    images, labels = small_cifar10(20)
    files = contents(images, labels)
    publish(monkeypatch, files)
    folder = write(tmp_path / "own", files)
    for wrong in (missed(0, int(labels[100] + 1) % 10), missed(20, 0)):
        found, why = thumbnails.read("cifar10", folder, [wrong])
        assert not found
        assert "labels" in why


@pytest.mark.usefixtures("_own_cache")
def test_damage_is_an_error_where_the_user_named_the_folder_only(tmp_path, monkeypatch):
    files = contents(*small_cifar10(20))
    publish(monkeypatch, files)
    broken = files | {"test_batch": b"broken"}
    with pytest.raises(DataError, match="test_batch"):
        thumbnails.read("cifar10", write(tmp_path / "own", broken), [missed(0, 0)])
    write(cifar10_in_keras(tmp_path), broken)
    found, why = thumbnails.read("cifar10", None, [missed(0, 0)])
    assert not found
    assert "damaged" in why


@pytest.mark.usefixtures("_own_cache")
def test_photos_of_a_cross_validation_are_found_among_all(tmp_path):
    root = fill(tmp_path / "photos", {"a": 10, "b": 20})
    dataset = photos.load(root, silent)
    index = len(dataset.train.labels) + 1
    name = dataset.validation.images.names[1]
    wrong = replace(missed(index, int(dataset.validation.labels[1])), name=name)
    found, why = thumbnails.read("photos", root, [wrong], folds=5)
    assert why == ""
    expected = fitted(Image.open(root / name), thumbnails.SIDE, Geometry("pad"))
    assert np.array_equal(pixels(found[index]), expected)
    others = [replace(wrong, name="a/other.png"), replace(wrong, index=30)]
    assert all("names" in thumbnails.read("photos", root, [one], folds=5)[1] for one in others)
    assert "of photos only" in thumbnails.read("digits", None, [wrong], folds=5)[1]


@pytest.mark.usefixtures("_own_cache")
def test_photos_that_are_where_they_were_need_not_be_named(tmp_path):
    root = fill(tmp_path / "photos", {"a": 10, "b": 20})
    dataset = datasets.load("photos", root)
    index, label = int(dataset.test.index[0]), int(dataset.test.labels[0])
    wanted, sha256 = [missed(index, label)], dataset.sha256
    assert [*thumbnails.read("photos", None, wanted, sha256=sha256)[0]] == [index]
    found, why = thumbnails.read("photos", None, wanted, sha256="0" * 64)
    assert not found
    assert why.endswith(
        "not at hand; 'effbench report --html --data-dir DIR' takes them from a folder."
    )
    for path in (root / "b").iterdir():
        path.unlink()
    found, why = thumbnails.read("photos", None, wanted, sha256=sha256)
    assert not found
    assert "have changed" in why
    root.rename(tmp_path / "elsewhere")
    assert "not at hand" in thumbnails.read("photos", None, wanted, sha256=sha256)[1]


def test_every_dataset_names_its_classes():
    assert {len(row.classes) for row in datasets.DATASETS.values() if row.classes} == {10}
    assert datasets.DATASETS["cifar10"].classes[3] == "cat"
