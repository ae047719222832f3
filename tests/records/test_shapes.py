"""Records of any number of classes, with and without a test split."""

from dataclasses import replace

import numpy as np
import pytest
from support.records import complete, spec

from effbench.data.datasets import DATASETS
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.records.validate import problems

NAMES = {count: tuple(f"class {number}" for number in range(count)) for count in (2, 3, 300)}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def photos(store: Store, classes: int, **changes: object) -> RunResult:
    return complete(store, data="birds", classes=classes, names=NAMES[classes], **changes)


def errors(store: Store) -> list[str]:
    return [finding.text for finding in problems(store.directory).findings if not finding.remark]


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("classes", NAMES)
def test_they_are_whole_and_come_back_as_they_were(classes, test, store):
    record = photos(store, classes, test=test)
    assert not errors(store)
    (back,) = store.load(checked=True).results
    assert back == record
    assert back.classes == NAMES[classes]
    assert back.splits == (("validation", "test") if test else ("validation",))
    assert back.reported.judged == (back.reported.test or back.reported.validation)
    arrays = store.predictions(back)
    assert arrays["validation_label"].dtype == (np.uint16 if classes > 256 else np.uint8)


def test_ten_classes_are_the_keys_of_before():
    assert spec(classes=10).key == spec().key
    assert spec(classes=11).key != spec().key


def test_a_row_of_the_table_names_its_classes_itself(store):
    record = complete(store)
    assert record.images.classes == ()
    assert record.classes[:2] == ("airplane", "automobile")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": ("a", "b", "c", "d")}, "classes: expected 4, found 3"),
        ({"classes": ()}, f"data: expected one of {', '.join(DATASETS)}, found birds without "),
        ({"test": 5}, "selected.val_loss.test.total: expected 5, found 0"),
    ],
)
def test_images_that_contradict_the_rest_are_found(changes, text, store):
    record = photos(store, 3, test=False)
    store.save(replace(record, images=replace(record.images, **changes)))
    assert any(line.startswith(text) for line in errors(store))


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("validation_label", np.zeros(20, np.uint8), "validation_label: expected uint16 (20,)"),
        ("validation_name", np.array(["a"] * 19), "validation_name: expected 20 texts"),
        ("validation_group", np.zeros(19, np.int32), "validation_group: expected integers (20,)"),
        ("validation_group", np.zeros(20, np.float32), "integers (20,), found float32 (20,)"),
        ("test_rank", np.zeros(20, np.uint16), "arrays of test, of which the record has no scores"),
    ],
)
def test_predictions_of_another_shape_are_found(name, array, text, store):
    record = photos(store, 300, test=False)
    arrays = store.predictions(record) | {name: array}
    saved = store.save_predictions(record.spec.key, arrays, record.predictions.epochs)
    store.save(replace(record, predictions=saved))
    assert any(text in line for line in errors(store))


def test_runs_on_the_same_data_have_the_same_groups(store):
    for seed, group in enumerate((np.arange(20), np.arange(20), np.arange(20) // 2)):
        record = photos(store, 3, seed=seed)
        arrays = store.predictions(record) | {"test_group": group}
        saved = store.save_predictions(record.spec.key, arrays, record.predictions.epochs)
        store.save(replace(record, predictions=saved))
    (line,) = errors(store)
    assert line.startswith("other images or labels of the same data")


def test_records_of_before_say_nothing_of_where_splits_came_from(store):
    images = photos(store, 3).images
    assert (images.skipped, images.made, images.split_sha256) == (0, (), "")
