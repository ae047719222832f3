"""ImageNet as people have it: every layout gives the same images the same classes."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from support import imagenet
from support.pictures import put

from effbench.errors import DataError, EffbenchError
from effbench.imagenet import ground_truth, synsets, validation_sets

COUNT = 40
LABELS = np.random.default_rng(1).integers(0, 1000, COUNT)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Fewer images than 50,000, and all that is said of them with that number."""
    monkeypatch.setattr(ground_truth, "IMAGES", COUNT)


@pytest.fixture
def flat(tmp_path) -> Path:
    """Files in one folder named val, with the devkit beside it."""
    for number in range(1, COUNT + 1):
        put(tmp_path / "ILSVRC/val" / imagenet.file_name(number), b"x")
    imagenet.devkit(tmp_path / "ILSVRC", LABELS)
    return tmp_path / "ILSVRC"


def by_id(flat: Path, root: Path) -> Path:
    for number, label in enumerate(LABELS, 1):
        source = flat / "val" / imagenet.file_name(number)
        place = root / synsets.synsets()[label] / source.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    return root


def labels(images: validation_sets.ValidationSet) -> dict[str, int]:
    return {
        name.rpartition("/")[2]: int(label)
        for name, label in zip(images.names, images.labels, strict=True)
    }


EXPECTED = {imagenet.file_name(number): int(label) for number, label in enumerate(LABELS, 1)}


def test_ids_are_those_of_imagenet_in_the_order_of_a_networks_outputs():
    ids = synsets.synsets()
    assert len(ids) == len(set(ids)) == 1000
    assert list(ids) == sorted(ids)
    # As `decode_predictions` of Keras has them: tench, goldfish, tiger cat, toilet tissue.
    assert [ids[number] for number in (0, 1, 282, 999)] == [
        *("n01440764", "n01443537", "n02123159", "n15075141"),
    ]


def test_all_layouts_give_the_same_classes(flat, tmp_path):
    for root in (flat, flat / "val", by_id(flat, tmp_path / "ids")):
        images = validation_sets.read(root)
        assert (images.name, images.whole) == ("imagenet", COUNT)
        assert labels(images) == EXPECTED
        (first,) = images.contents([3])
        assert first.read_bytes() == b"x"


@pytest.mark.parametrize("kind", ["map_clsloc", "kaggle", "slim", "named", "renamed"])
def test_answers_come_in_several_forms(flat, tmp_path, kind):
    data = flat / "ILSVRC2012_devkit_t12/data"
    ids = [synsets.synsets()[label] for label in LABELS]
    named = None
    if kind == "map_clsloc":
        table = ground_truth._meta(data / "meta.mat")
        lines = [f"{synset} {number} word_of_it\n" for number, synset in table.items()]
        (data / "map_clsloc.txt").write_text("".join(lines))
        (data / "meta.mat").unlink()
    elif kind in ("named", "renamed"):
        shutil.move(data, tmp_path / "elsewhere")
        named = tmp_path / "elsewhere" / "ILSVRC2012_validation_ground_truth.txt"
        if kind == "renamed":
            named = named.rename(named.with_name("val_labels.txt"))
    else:
        shutil.rmtree(data)
    if kind == "kaggle":
        with (flat / "LOC_val_solution.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["ImageId", "PredictionString"])
            for number, synset in reversed(list(enumerate(ids, 1))):  # in no order
                name = imagenet.file_name(number).removesuffix(".JPEG")
                rows.writerow([name, f"{synset} 1 2 3 4 {synset} 5 6 7 8"])
    elif kind == "slim":
        path = flat / "val/imagenet_2012_validation_synset_labels.txt"
        path.write_text("\n".join(ids) + "\n")
    assert labels(validation_sets.read(flat, named)) == EXPECTED


def test_a_missing_image_is_named_and_a_part_can_be_scored(flat):
    (flat / "val" / imagenet.file_name(7)).unlink()
    with pytest.raises(DataError, match=r"are 40: 39; ILSVRC2012_val_00000007 missing; complete"):
        validation_sets.read(flat)
    partly = validation_sets.read(flat, partial=True)
    assert labels(partly) == {name: label for name, label in EXPECTED.items() if "07." not in name}
    chosen = partly.limited(10)
    assert len(set(chosen)) == 10
    assert chosen == partly.limited(10) == sorted(chosen)


def test_a_named_file_of_another_form_is_refused(flat, tmp_path):
    put(tmp_path / "labels.txt", b"ILSVRC2012_val_00000001.JPEG 65\n")
    with pytest.raises(DataError, match=r"labels\.txt begins with .ILSVRC2012_val_"):
        validation_sets.read(flat, tmp_path / "labels.txt")


def shorten(data: Path) -> None:
    path = data / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text("\n".join(path.read_text().split()[1:]))


def count_from_0(data: Path) -> None:
    path = data / "ILSVRC2012_validation_ground_truth.txt"
    numbers = [0, *(int(line) - 1 for line in path.read_text().split()[1:])]
    path.write_text("\n".join(map(str, numbers)))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (shutil.rmtree, "need the answers beside them: none of ILSVRC2012_"),
        (lambda data: (data / "meta.mat").unlink(), "not in the order of a network's outputs: "),
        (shorten, "answers are of 40 images: "),
        (count_from_0, "the devkit numbers classes from 1 to 1,000: 0 to "),
        (lambda data: (data / "meta.mat").write_bytes(b"no"), "cannot read the answers: "),
    ],
    ids=["none", "no table", "too few", "from 0", "no MATLAB"],
)
def test_a_devkit_that_is_none_is_one_line(flat, change, line):
    change(flat / "ILSVRC2012_devkit_t12/data")
    with pytest.raises(DataError) as caught:
        validation_sets.read(flat)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_imagenet_v2_has_numbers_not_words(tmp_path):
    for number in range(1000):
        put(tmp_path / "v2" / str(number) / f"{number:05x}.jpeg", b"x")
    images = validation_sets.read(tmp_path / "v2")
    assert (images.name, images.whole) == ("imagenet-v2", 1000)
    assert {
        int(name.partition("/")[0]) - label
        for name, label in zip(images.names, images.labels, strict=True)
    } == {0}


def test_sets_of_fewer_classes_are_answered_among_these(tmp_path):
    chosen = [2, 5, 999]
    for number in chosen:
        for image in range(3):
            put(tmp_path / "imagenet-r" / synsets.synsets()[number] / f"art_{image}.jpg", b"x")
    images = validation_sets.read(tmp_path / "imagenet-r")
    assert (images.name, images.whole, images.classes) == ("imagenet-r", 9, (2, 5, 999))


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["ants/1.jpg", "bees/2.jpg"], "no layout of ImageNet's validation images"),
        (
            ["n01440764/1.jpg", "n00000001/1.jpg"],
            "folders of classes that ImageNet has not: n00000001",
        ),
        (["n01440764/n01440764_10026.JPEG"], "these are ImageNet's training images"),
        (["n01440764/notes.txt"], "folders of classes without images"),
    ],
)
def test_other_folders_are_refused(tmp_path, names, line):
    for name in names:
        put(tmp_path / "set" / name, b"x")
    with pytest.raises(DataError) as caught:
        validation_sets.read(tmp_path / "set")
    assert line in str(caught.value)


def test_parquet_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    put(tmp_path / "validation-00000-of-00014.parquet", b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EffbenchError, match=r"no pyarrow; pip install 'effbench\[parquet\]'"):
        validation_sets.read(tmp_path)


def test_parquet_rows_are_read_in_their_order(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    for part in range(2):
        rows = range(part * 20, part * 20 + 20)
        images = [{"bytes": json.dumps(row).encode(), "path": None} for row in rows]
        table = pyarrow.table({"image": images, "label": [int(LABELS[row]) for row in rows]})
        path = tmp_path / "data" / f"validation-{part:05}-of-00002.parquet"
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(table, path, row_group_size=7)
    images = validation_sets.read(tmp_path)
    assert (images.name, images.labels.tolist()) == ("imagenet", LABELS.tolist())
    assert [json.loads(row) for row in images.contents([0, 6, 7, 25])] == [0, 6, 7, 25]
    nameless = tmp_path / "test"
    nameless.mkdir()
    parquet.write_table(
        pyarrow.table({"image": [{"bytes": b"", "path": None}] * 2, "label": [None, 3]}),
        nameless / "test.parquet",
    )
    with pytest.raises(DataError, match="labels are 0 to 999: texts, or rows without one"):
        validation_sets.read(nameless)
    parquet.write_table(
        pyarrow.table({"image": [{"bytes": b"", "path": None}] * 3, "label": [5, 2, 5]}),
        nameless / "test.parquet",
    )
    few = validation_sets.read(nameless)
    assert (few.name, few.whole, few.classes) == ("test", 3, (2, 5))
    whole = (nameless / "test.parquet").read_bytes()
    (nameless / "test.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=r"damaged, or not whole: test\.parquet: .*; get the file a"
    ):
        validation_sets.read(nameless)
    parquet.write_table(pyarrow.table({"text": [1]}), nameless / "test.parquet")
    with pytest.raises(DataError, match=r"need the columns image and label: test\.parquet"):
        validation_sets.read(nameless)


def test_a_folder_that_is_called_like_a_known_set_is_another_one(tmp_path):
    put(tmp_path / "imagenet" / synsets.synsets()[2] / "art_1.jpg", b"x")
    assert validation_sets.read(tmp_path / "imagenet").name == "imagenet-folder"
