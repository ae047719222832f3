"""A step of a whole network, against independent formulas and across micro-batches."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax
from support import tiny

from effbench.config.recipes import RECIPES
from effbench.config.schedule import split
from effbench.errors import DataError
from effbench.hardware.tensorflow_setup import tf
from effbench.models import layers, preprocessing
from effbench.training.fine_tuning import fine_tune_step

# Nothing random in a step.
STILL = replace(
    RECIPES["finetune"],
    batch_size=16,
    epochs=2,
    dropout=0.0,
    flip=False,
    cutout=0.0,
    warmup_epochs=0.0,
    learning_rate_batch=0,
    maximal_learning_rate=0.01,
)


def steps(task: fine_tune_step.FineTuneTask, count: int = 4, norm: bool = True):
    """A trainer after some steps of the first epoch, their losses and hits."""
    with task.layout.scope():
        made = fine_tune_step.NetworkTrainer(*tiny.build(norm=norm, depth=0.0), task)
    order = np.arange(count * task.recipe.batch_size, dtype=np.int32).reshape(count, -1)
    (stage, *_) = split(task.recipe, tiny.SIZE)
    with task.layout.scope():
        losses, right = made.run(stage, order, 0, count, 0)
    return made, losses, right


def test_the_loss_is_smoothed_cross_entropy_of_the_batch():
    task = tiny.task(STILL)
    made, losses, right = steps(task, 1, norm=False)
    fresh = fine_tune_step.NetworkTrainer(*tiny.build(norm=False, depth=0.0), task)
    images, labels = tiny.data()
    maps = fresh._model(preprocessing.prepare(tf.constant(images[:16]), tiny.SIZE, "tf"))
    features = maps.numpy().mean(axis=(1, 2), dtype=np.float64)
    logits = features @ fresh.kernel.numpy() + fresh.bias.numpy()
    targets = 0.9 * np.eye(10)[labels[:16]] + 0.01
    assert losses[0] == pytest.approx(-(targets * log_softmax(logits, 1)).sum(1).mean(), rel=1e-5)
    place = (logits > logits[np.arange(16), labels[:16]][:, None]).sum(axis=1)
    assert right[0].tolist() == [(place < 1).sum(), (place < 5).sum()]
    assert made.learning_rate() == pytest.approx(0.01)


def test_of_equal_logits_the_lower_class_comes_first_as_in_evaluation():
    task = tiny.task(STILL)
    made = tiny.trainer(task)
    made.kernel.assign(tf.zeros_like(made.kernel))
    (stage,) = split(STILL, tiny.SIZE)
    _, right = made.run(stage, np.arange(16, dtype=np.int32)[None], 0, 1, 0)
    # Of images 0 to 15 the classes are 0 to 9 and 0 to 5; all logits are 0.
    assert right.tolist() == [[2, 10]]


@pytest.mark.parametrize("torch", [False, True], ids=["TensorFlow", "PyTorch"])
def test_rmsprop_l2_and_average_equal_independent_formulas(torch):
    """With the gradients that TensorFlow computes for the very variables before each step."""
    recipe = replace(STILL, weight_decay=0.1, label_smoothing=0.0)
    if torch:  # `torch.optim.RMSprop`, and weight decay of biases as well
        recipe = replace(recipe, optimizer="rmsprop-torch", epsilon=0.01, decay_all=True)
    task = tiny.task(recipe)
    images, labels = tiny.data()
    model, noise = tiny.build(norm=False, depth=0.0)
    made = fine_tune_step.NetworkTrainer(model, noise, task)
    values = [variable.numpy().astype(np.float64) for variable in made._trained]
    square = [np.zeros_like(value) if torch else np.ones_like(value) for value in values]
    speed = [np.zeros_like(value) for value in values]
    average = [value.copy() for value in values]
    (stage,) = split(recipe, tiny.SIZE)
    order = np.arange(48, dtype=np.int32).reshape(3, 16)
    for step in range(3):
        chosen = order[step]
        with tf.GradientTape() as tape:
            maps = model(preprocessing.prepare(tf.constant(images[chosen]), tiny.SIZE, "tf"))
            logits = tf.reduce_mean(maps, axis=(1, 2)) @ made.kernel + made.bias
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels[chosen].astype(np.int32), logits
            )
            loss = tf.reduce_mean(each)
        gradients = tape.gradient(loss, made._trained)
        made.run(stage, order, step, step + 1, step)
        decay = min(0.9996, (1 + step + 1) / (10 + step + 1))
        for place, gradient in enumerate(gradients):
            own = gradient.numpy().astype(np.float64)
            if values[place].ndim > 1 or torch:  # kernels, not biases
                own += 0.1 * values[place]
            square[place] = 0.9 * square[place] + 0.1 * own**2
            root = np.sqrt(square[place]) + 0.01 if torch else np.sqrt(square[place] + 1e-3)
            speed[place] = 0.9 * speed[place] + own / root
            values[place] = values[place] - 0.01 * speed[place]
            average[place] = decay * average[place] + (1 - decay) * values[place]
    for place, variable in enumerate(made._trained):
        np.testing.assert_allclose(variable.numpy(), values[place], rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(made.weights()[place], average[place], rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("micro", [8, 4])
def test_micro_batches_add_up_to_the_batch(micro):
    whole = steps(tiny.task(STILL), norm=False)
    parts = steps(tiny.task(STILL, micro_batch=micro), norm=False)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-5)
    np.testing.assert_array_equal(parts[2], whole[2])
    for one, other in zip(parts[0].weights(), whole[0].weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_batchnorm_statistics_are_averaged_too():
    made, *_ = steps(tiny.task(STILL))
    statistics = [variable.numpy() for variable in made._model.non_trainable_variables]
    averaged = made.weights()[-len(statistics) :]
    for now, mean in zip(statistics, averaged, strict=True):
        assert not np.allclose(now, mean)
        assert np.isfinite(mean).all()


def test_without_an_average_the_weights_are_evaluated():
    made, *_ = steps(tiny.task(replace(STILL, ema_decay=0.0)))
    for weight, variable in zip(made.weights(), made._network, strict=True):
        np.testing.assert_array_equal(weight, variable.numpy())


def test_other_weights_are_used_for_a_while():
    made, *_ = steps(tiny.task(STILL), 1)
    before = made.state()
    with made.using([np.zeros_like(weight) for weight in made.weights()]):
        assert not made.kernel.numpy().any()
    for one, other in zip(before, made.state(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_stochastic_depth_keeps_as_many_as_it_says_and_the_mean():
    noise = layers.Noise()
    layer = layers.StochasticDepth(noise, 0.25, name="depth")
    drawn = np.random.default_rng(0).random(4000) >= 0.25
    noise.keep = lambda name, rate: tf.constant(drawn, tf.float32)
    inputs = tf.ones((4000, 2, 2, 3))
    found = layer(inputs, training=True).numpy()
    assert set(np.unique(found)) == {0.0, np.float32(1 / 0.75)}
    np.testing.assert_array_equal(found[:, 0, 0, 0] > 0, drawn)
    assert found.mean() == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(layer(inputs, training=False), inputs)


def test_more_images_a_batch_than_there_are_is_refused():
    with pytest.raises(DataError, match="512 of 70; give a smaller --batch-size"):
        tiny.trainer(tiny.task(replace(STILL, batch_size=512)))
