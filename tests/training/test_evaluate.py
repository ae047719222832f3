"""Every image once, and exact counts, against scikit-learn and Keras."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from effbench.hardware.tensorflow_setup import keras, tf
from effbench.training import evaluate
from effbench.training.evaluate import Evaluator

CLASSES = 10


def gather(values: np.ndarray):
    on_device = tf.constant(values)
    return lambda positions: tf.gather(on_device, positions)


def random_logits(images: int, seed: int, scale: float = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, scale, (images, CLASSES)).astype(np.float32)
    return logits, generator.integers(0, CLASSES, images).astype(np.uint8)


@pytest.mark.parametrize("images", [1, 7, 128, 1001])
@pytest.mark.parametrize("seed", [0, 1])
def test_counts_are_those_of_scikit_learn(images, seed):
    logits, labels = random_logits(images, seed)
    found = evaluate.score(logits, labels)
    top1 = accuracy_score(labels, logits.argmax(axis=1), normalize=False)
    top5 = top_k_accuracy_score(labels, logits, k=5, normalize=False, labels=np.arange(CLASSES))
    assert (found.correct, found.top5_correct, found.total) == (top1, top5, images)


@pytest.mark.parametrize("scale", [0.1, 3, 200])
def test_loss_is_keras_sparse_categorical_crossentropy(scale):
    logits, labels = random_logits(333, 5, scale)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert evaluate.score(logits, labels).loss == pytest.approx(float(expected), rel=1e-5)


def test_of_equal_logits_the_lower_class_comes_first():
    logits = np.zeros((CLASSES, CLASSES), np.float32)
    labels = np.arange(CLASSES).astype(np.uint8)
    np.testing.assert_array_equal(evaluate.ranks(logits, labels), np.arange(CLASSES))
    found = evaluate.score(logits, labels)
    # argmax says class 0 for every image, and the first five classes are the top five.
    assert (found.correct, found.top5_correct) == (1, 5)
    assert found.loss == pytest.approx(np.log(CLASSES))


def test_partial_ties_agree_with_argmax_and_a_stable_sort():
    generator = np.random.default_rng(3)
    logits = generator.integers(0, 4, (500, CLASSES)).astype(np.float32)
    labels = generator.integers(0, CLASSES, 500).astype(np.uint8)
    place = evaluate.ranks(logits, labels)
    np.testing.assert_array_equal(place == 0, logits.argmax(axis=1) == labels)
    order = np.argsort(-logits, axis=1, kind="stable")
    np.testing.assert_array_equal(place, (order == labels[:, None]).argmax(axis=1))


@pytest.mark.parametrize("images", [1, 127, 128, 129, 300])
def test_every_image_counts_exactly_once_and_in_its_place(images):
    # Image i has the one feature i, so its logits say which image they belong to.
    lookup = gather(np.arange(images, dtype=np.float32)[:, None])
    kernel = np.arange(1, CLASSES + 1, dtype=np.float32)[None, None]
    bias = np.full((1, CLASSES), 0.5, np.float32)
    logits = Evaluator(lookup, images).logits(kernel, bias)
    assert logits.shape == (1, images, CLASSES)
    expected = np.arange(images)[:, None] * np.arange(1, CLASSES + 1) + 0.5
    np.testing.assert_array_equal(logits[0], expected)
    labels = np.full(images, CLASSES - 1, np.uint8)
    found = evaluate.score(logits[0], labels)
    # All logits of image 0 are equal; in every other image the last class is highest.
    assert (found.correct, found.total) == (images - 1, images)


@pytest.mark.parametrize("images", [1, 129])
def test_several_heads_at_once_are_each_head_alone(images):
    generator = np.random.default_rng(4)
    features = generator.normal(size=(images, 32)).astype(np.float32)
    kernels = generator.normal(size=(3, 32, CLASSES)).astype(np.float32)
    biases = generator.normal(size=(3, CLASSES)).astype(np.float32)
    evaluator = Evaluator(gather(features), images)
    together = evaluator.logits(kernels, biases)
    assert together.shape == (3, images, CLASSES)
    assert together.dtype == np.float32
    for head in range(3):
        alone = evaluator.logits(kernels[head : head + 1], biases[head : head + 1])
        np.testing.assert_allclose(together[head], alone[0], rtol=1e-6, atol=1e-6)
        expected = features.astype(np.float64) @ kernels[head] + biases[head]
        np.testing.assert_allclose(together[head], expected, rtol=1e-4, atol=1e-4)


def test_per_image_arrays_are_consistent_with_each_other_and_the_scores():
    logits, labels = random_logits(300, 6)
    arrays = evaluate.per_image("test", logits, labels)
    assert set(arrays) == {"test_label", "test_predicted", "test_rank", "test_probability"}
    assert all(len(each) == 300 for each in arrays.values())
    found = evaluate.score(logits, labels)
    hit = arrays["test_predicted"] == arrays["test_label"]
    np.testing.assert_array_equal(hit, arrays["test_rank"] == 0)
    assert hit.sum() == found.correct
    assert (arrays["test_rank"] < 5).sum() == found.top5_correct
    assert 0 < found.correct < found.top5_correct < 300
    np.testing.assert_array_equal(arrays["test_label"], labels)
    probability = arrays["test_probability"].astype(np.float64)
    assert probability.shape == (300, CLASSES)
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=5e-3)
    true = probability[np.arange(300), labels]
    above = (probability > true[:, None]).sum(axis=1)
    # float16 can make unequal probabilities equal, never swap them.
    assert (above <= arrays["test_rank"]).all()
    assert -np.log(np.maximum(true, 1e-7)).mean() == pytest.approx(found.loss, rel=1e-2)


def test_logits_that_are_no_numbers_are_no_hits():
    logits = np.full((4, CLASSES), np.nan, np.float32)
    labels = np.array([0, 3, 5, 9], np.uint8)
    try:
        found = evaluate.score(logits, labels)
    except Exception:  # refusing them is as good
        return
    assert (found.correct, found.top5_correct) == (0, 0)


def test_many_logits_are_scored_piece_by_piece_to_the_same(monkeypatch):
    """All at once, 10,000 images of 10,000 classes would take gigabytes in float64."""
    numbers = np.random.default_rng(0)
    logits = numbers.normal(size=(50, 7)).astype(np.float32)
    labels = numbers.integers(0, 7, 50)
    whole, arrays = evaluate.score(logits, labels), evaluate.per_image("test", logits, labels)
    seen = []
    softmax = evaluate.softmax
    monkeypatch.setattr(
        evaluate, "softmax", lambda part, axis: (seen.append(len(part)), softmax(part, axis))[1]
    )
    monkeypatch.setattr(evaluate, "_AT_ONCE", 100)
    assert evaluate.score(logits, labels) == whole
    for name, array in evaluate.per_image("test", logits, labels).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype
    assert seen == [14, 14, 14, 8]
