"""How much a class counts: the weights are scikit-learn's, and both ways to train use them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.utils.class_weight import compute_class_weight
from support import tiny

from effbench import progress
from effbench.config.recipes import RECIPES
from effbench.config.schedule import split
from effbench.hardware.tensorflow_setup import tf
from effbench.training.class_weights import weights
from effbench.training.evaluate import Evaluator
from effbench.training.fine_tuning import fine_tune_step
from effbench.training.heads import head_step, head_training

LABELS = np.array([0] * 30 + [1] * 8 + [2] * 2, np.uint8)
BALANCED = np.array([40 / 90, 40 / 24, 40 / 6])


def test_they_are_those_of_scikit_learn_and_one_on_average():
    found = weights("balanced", LABELS, 3)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found, BALANCED, rtol=1e-6)
    assert found[LABELS].mean() == pytest.approx(1)
    np.testing.assert_array_equal(weights("none", LABELS, 3), np.ones(3))
    assert weights("balanced", LABELS, 4)[3] == 0  # and not infinity
    assert weights("balanced", LABELS, 4).dtype == np.float32


def test_a_heads_loss_counts_each_class_by_its_weight():
    values = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    on_device = tf.constant(values)
    task = head_step.HeadTask(
        lambda positions: tf.gather(on_device, positions),
        LABELS,
        Evaluator(lambda positions: tf.gather(on_device, positions), 40),
        LABELS,
        8,
        classes=3,
    )
    # Nothing moves, so the loss is that of the weights at the end.
    still = {"initial_learning_rate": 0.0, "maximal_learning_rate": 0.0, "dropout": 0.0}
    recipe = replace(RECIPES["case-study"], epochs=1, batch_size=16, **still)
    for name, each in (("none", np.ones(3)), ("balanced", BALANCED)):
        weighted = replace(recipe, class_weights=name)
        (head,) = head_training.train(task, weighted, [0], 1, progress.silent)
        kernel, bias = head.weights[0]
        assert kernel.shape == (8, 3)
        losses = -log_softmax(values @ kernel + bias, axis=1)[np.arange(40), LABELS]
        assert head.history[0].train.loss == pytest.approx((losses * each[LABELS]).mean(), rel=1e-5)
        # Whether an image is right has no weight.
        right = (values @ kernel + bias).argmax(axis=1) == LABELS
        assert head.history[0].train.correct == right.sum()
        assert head.history[0].validation.correct == right.sum()


def test_a_networks_loss_counts_each_class_by_its_weight():
    labels = LABELS[::-1].copy()
    recipe = replace(
        RECIPES["finetune"],
        batch_size=16,
        dropout=0.0,
        flip=False,
        cutout=0.0,
        label_smoothing=0.0,
        warmup_epochs=0.0,
    )
    losses = {}
    for name in ("none", "balanced"):
        weighted = replace(recipe, class_weights=name)
        (stage,) = split(weighted, 32)
        task = tiny.task(weighted, labels=labels, classes=3)
        made = fine_tune_step.NetworkTrainer(*tiny.build(norm=False, depth=0.0), task)
        assert made.kernel.shape == (8, 3)
        made.kernel.assign(tf.zeros_like(made.kernel))
        order = np.arange(16, dtype=np.int32)[None]
        losses[name] = made.run(stage, order, 0, 1, 0)[0][0]
    # All classes are as likely: each image's own loss is log 3.
    assert losses["none"] == pytest.approx(np.log(3), rel=1e-5)
    expected = np.log(3) * BALANCED[labels[:16]].mean()
    assert losses["balanced"] == pytest.approx(expected, rel=1e-5)
