import numpy as np

from effbench.data import datasets, folds
from effbench.data.splits import Dataset, Split


def dataset(labels: list[int], groups: list[int] | None = None) -> Dataset:
    """Images of two classes; the first two thirds train."""
    whole = Split(
        np.zeros((len(labels), 4, 4, 3), np.uint8),
        np.array(labels, np.uint8),
        np.arange(len(labels)),
        tuple(f"{number}.png" for number in range(len(labels))),
        None if groups is None else np.array(groups, np.int32),
    )
    parts = np.split(np.arange(len(labels)), [len(labels) * 2 // 3, len(labels) * 5 // 6])
    train, validation, test = map(whole.take, parts)
    return Dataset(train, validation, test, "", ("cat", "dog"))


def test_every_image_tests_once_chooses_once_and_trains_otherwise():
    digits = datasets.load("digits")
    pool = folds.pooled(digits)
    everything = np.concatenate([split.labels for split in digits.splits])
    for split in pool.splits:
        np.testing.assert_array_equal(split.labels, everything)
    used = np.zeros((3, len(everything)), int)
    counts = []
    for positions, images in folds.turns(pool, 5):
        for row, chosen, split in zip(used, positions, images.splits, strict=True):
            row[chosen] += 1
            np.testing.assert_array_equal(split.labels, everything[chosen])
            np.testing.assert_array_equal(split.index, chosen)
        counts.append(np.bincount(images.test.labels))
    np.testing.assert_array_equal(used, np.repeat([[3], [1], [1]], len(everything), axis=1))
    # Stratified: of each class as many in each fold, or one less.
    assert np.ptp(counts, axis=0).max() <= 1


def test_folds_are_the_same_whenever_they_are_made_and_keep_names():
    pool = folds.pooled(dataset([0, 1] * 12))
    first, again = ([images.test.names for _, images in folds.turns(pool, 3)] for _ in range(2))
    assert first == again
    assert sorted(name for names in first for name in names) == sorted(pool.test.names)


def test_no_group_is_in_two_folds():
    groups = [number // 2 for number in range(24)]
    pool = folds.pooled(dataset([0, 0, 1, 1] * 6, groups))
    for _, images in folds.turns(pool, 3):
        sides = [set(split.groups.tolist()) for split in images.splits]
        assert not any(one & other for one, other in zip(sides, sides[1:] + sides[:1], strict=True))
