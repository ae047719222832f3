import numpy as np
import pytest

from effbench.data import datasets
from effbench.data.few_shot import per_class
from effbench.errors import UsageError


def test_fewer_images_of_a_class_are_among_more():
    digits = datasets.load("digits")
    few, more = (per_class(digits, count) for count in (3, 40))
    for dataset, train, validation in ((few, 3, 3), (more, 40, 13)):
        assert set(np.bincount(dataset.train.labels)) == {train}
        assert np.bincount(dataset.validation.labels).min() == validation
        assert np.bincount(dataset.validation.labels).max() <= train
        assert dataset.test is digits.test
        assert dataset.sha256 == digits.sha256
    assert set(few.train.index) < set(more.train.index) < set(digits.train.index)
    assert set(few.validation.index) < set(more.validation.index)
    assert np.array_equal(per_class(digits, 3).train.index, few.train.index)
    assert per_class(digits, None) is digits


def test_more_than_there_are_of_a_class_are_refused():
    with pytest.raises(UsageError, match=r"takes 1 to \d+ images, as \d has \d+ to train on: 999;"):
        per_class(datasets.load("digits"), 999)
