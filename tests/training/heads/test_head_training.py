"""Heads train as plain Keras trains them, each by itself, on cached features or without."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import count

import numpy as np
import pytest
from support.options import sweep_options

from effbench import progress
from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES
from effbench.engines.engine import TENSORFLOW
from effbench.errors import NonFiniteError
from effbench.hardware import devices
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.records.scores import Epoch, Scores
from effbench.training import evaluate, optimizers
from effbench.training.evaluate import Evaluator
from effbench.training.features import feature_cache
from effbench.training.features.feature_cache import FeatureSet
from effbench.training.heads import head_step, head_training
from effbench.training.heads.head_step import Head, HeadTask

pytestmark = pytest.mark.usefixtures("shallow_networks")

CLASSES = 10
WIDTH = 64
TRAIN, VALIDATION = 300, 70
RECIPE = replace(RECIPES["case-study"], epochs=3, batch_size=32)
PLAIN = replace(RECIPE, dropout=0.0)
# Nothing moves, so the weights after an epoch are those before it.
STILL = replace(PLAIN, initial_learning_rate=0.0, maximal_learning_rate=0.0)


@pytest.fixture(scope="module", autouse=True)
def device() -> devices.Device:
    """As in a worker."""
    return devices.connect("cpu")


def gather(values: np.ndarray):
    on_device = tf.constant(values)
    return lambda positions: tf.gather(on_device, positions)


def dataset(train: int, validation: int, width: int, seed: int = 0):
    """Features and labels that can be learnt, but not perfectly."""
    generator = np.random.default_rng(seed)
    total = train + validation
    values = np.abs(generator.normal(size=(total, width))).astype(np.float32)
    noisy = values @ generator.normal(size=(width, CLASSES)) + generator.normal(
        0, 5, (total, CLASSES)
    )
    return values, noisy.argmax(axis=1).astype(np.uint8)


VALUES, LABELS = dataset(TRAIN, VALIDATION, WIDTH)


def task(values: np.ndarray = VALUES, labels: np.ndarray = LABELS, train: int = TRAIN) -> HeadTask:
    return HeadTask(
        gather(values[:train]),
        labels[:train],
        Evaluator(gather(values[train:]), len(values) - train),
        labels[train:],
        values.shape[1],
    )


@cache
def usual() -> HeadTask:
    return task()


@cache
def trainer(recipe: Recipe, number: int, build=head_step.HeadTrainer):
    """A trainer of the usual task: all that train by the same recipe share what it traced.

    Tracing takes most of the time, and a trainer has nothing of the heads before.
    """
    return build(usual(), recipe)


def train(recipe: Recipe, seeds=(0,), threads: int = 1, on: HeadTask | None = None) -> list[Head]:
    if on is not None:
        return head_training.train(on, recipe, list(seeds), threads, progress.silent)
    numbers = count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_training, "HeadTrainer", lambda _, by: trainer(by, next(numbers)))
        return head_training.train(usual(), recipe, list(seeds), threads, progress.silent)


def losses(head: Head) -> list[float]:
    return [row.train.loss for row in head.history]


def initial_kernel(seed: int) -> np.ndarray:
    kernel, bias = train(replace(STILL, epochs=1), [seed])[0].weights[0]
    np.testing.assert_array_equal(bias, 0)
    return kernel


# --- against plain Keras -------------------------------------------------------------------------


def fit(recipe: Recipe, seed: int, kernel: np.ndarray):
    """Keras's own `fit` over the same batches: (train loss, accuracy, val loss) and weights."""
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(CLASSES, "softmax")])
    model.layers[-1].set_weights([kernel, np.zeros(CLASSES, np.float32)])
    optimizer = optimizers.build(recipe, TRAIN)
    optimizer.iterations.assign(recipe.start_step)
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    history, weights = [], []
    for epoch in range(recipe.epochs):
        order, share = head_step.shuffled(TRAIN, recipe.batch_size, seed, epoch)

        def batches(order=order, share=share):
            for positions, weight in zip(order, share, strict=True):
                real = positions[weight > 0]
                yield VALUES[real], LABELS[real]

        shapes = (tf.TensorSpec((None, WIDTH)), tf.TensorSpec((None,), tf.uint8))
        data = tf.data.Dataset.from_generator(batches, output_signature=shapes)
        found = model.fit(
            data,
            epochs=1,
            verbose=0,
            validation_data=(VALUES[TRAIN:], LABELS[TRAIN:].astype(np.int32)),
        ).history
        history.append([found[name][0] for name in ("loss", "accuracy", "val_loss")])
        weights.append(model.layers[-1].get_weights())
    assert int(optimizer.iterations) == recipe.start_step + recipe.epochs * len(order)
    return np.array(history), weights


@pytest.mark.parametrize(
    ("seed", "start", "batch"), [(0, 0, 32), (3, 0, 32), (0, 25, 32), (1, 4000, 32), (0, 0, 300)]
)
def test_training_without_dropout_is_keras_fit(seed, start, batch):
    recipe = replace(PLAIN, epochs=5, start_step=start, batch_size=batch)
    kernel = initial_kernel(seed)
    expected, weights = fit(recipe, seed, kernel)
    head = train(recipe, [seed])[0]
    found = np.array(
        [[row.train.loss, row.train.accuracy, row.validation.loss] for row in head.history]
    )
    np.testing.assert_allclose(found[:, [0, 2]], expected[:, [0, 2]], rtol=1e-4)
    # An image whose two best classes are equal up to rounding may fall either way.
    np.testing.assert_allclose(found[:, 1], expected[:, 1], atol=1.5 / TRAIN)
    for ours, theirs in zip(head.weights, weights, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-3, atol=1e-4)
    assert np.abs(head.weights[-1][0] - kernel).max() > 1e-3


def test_start_step_moves_the_schedule_and_the_bias_correction():
    """With start_step, step n is step start + n in every respect."""
    steps = 10  # 300 images in batches of 32
    schedule = optimizers.schedule(PLAIN, TRAIN)
    for start in (0, 13, 4000):
        head = train(replace(PLAIN, start_step=start))[0]
        rates = [row.learning_rate for row in head.history]
        last = [start + steps * epoch - 1 for epoch in (1, 2, 3)]
        assert rates == pytest.approx([float(schedule(step)) for step in last], rel=1e-5)
    # At a constant rate the correction alone is left: the first steps at 0 are not rectified,
    # from a later one they are.
    constant = replace(PLAIN, initial_learning_rate=1e-3, maximal_learning_rate=1e-3, epochs=1)
    first, later = (train(replace(constant, start_step=start))[0] for start in (0, 4000))
    assert np.abs(first.weights[0][0] - later.weights[0][0]).max() > 1e-4


def test_what_is_trained_learns():
    head = train(replace(RECIPE, epochs=12))[0]
    assert losses(head)[-1] < 0.8 * losses(head)[0]
    assert head.history[-1].train.accuracy > 0.3  # chance is about 0.15
    assert [row.epoch for row in head.history] == list(range(1, 13))
    assert {row.train.total for row in head.history} == {TRAIN}


def test_validation_scores_are_those_of_the_epochs_weights():
    head = train(RECIPE)[0]
    assert len(head.weights) == len(head.history) == 3
    for row, (kernel, bias) in zip(head.history, head.weights, strict=True):
        logits = VALUES[TRAIN:] @ kernel + bias
        expected = evaluate.score(logits, LABELS[TRAIN:])
        assert row.validation.loss == pytest.approx(expected.loss, rel=1e-5)
        assert row.validation.correct == expected.correct
        assert row.validation.top5_correct == expected.top5_correct


def test_of_equal_logits_the_lower_class_comes_first_as_in_evaluation():
    blank = task(values=np.zeros_like(VALUES))
    (row,) = train(replace(RECIPE, epochs=1, batch_size=TRAIN), on=blank)[0].history
    expected = evaluate.score(np.zeros((TRAIN, CLASSES), np.float32), LABELS[:TRAIN])
    assert 0 < expected.correct < expected.top5_correct < TRAIN
    assert (row.train.correct, row.train.top5_correct) == (expected.correct, expected.top5_correct)


# --- seeds ---------------------------------------------------------------------------------------


def identical(a: Head, b: Head) -> bool:
    return a.history == b.history and all(
        x.tobytes() == y.tobytes()
        for one, other in zip(a.weights, b.weights, strict=True)
        for x, y in zip(one, other, strict=True)
    )


@pytest.fixture(scope="module")
def alone(device) -> dict[int, Head]:
    return {seed: train(RECIPE, [seed])[0] for seed in range(5)}


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("seeds", [(0, 1), (2, 0, 1), (4, 3, 2, 1, 0)])
def test_a_seed_is_bit_identical_in_any_company(alone, seeds, threads):
    heads = train(RECIPE, seeds, threads)
    assert [head.seed for head in heads] == list(seeds)
    for head in heads:
        assert identical(head, alone[head.seed])


def test_the_same_seed_twice_is_the_same_and_another_is_not(alone):
    assert identical(train(RECIPE, [1])[0], alone[1])
    assert not any(identical(alone[1], alone[other]) for other in (0, 2, 3, 4))


def test_more_epochs_begin_with_the_same_ones(alone):
    longer = train(replace(RECIPE, epochs=5), [2])[0]
    assert longer.history[:3] == alone[2].history
    assert longer.weights[2][0].tobytes() == alone[2].weights[2][0].tobytes()


def test_seeds_have_their_own_initial_weights():
    kernels = [initial_kernel(seed) for seed in range(4)]
    limit = np.sqrt(6 / (WIDTH + CLASSES))  # Glorot & Bengio 2010, uniform
    for place, kernel in enumerate(kernels):
        assert np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.1)
        for other in kernels[:place]:
            assert abs(np.corrcoef(kernel.ravel(), other.ravel())[0, 1]) < 0.2


def test_seeds_and_epochs_have_their_own_order():
    orders = [
        head_step.shuffled(TRAIN, 32, seed, epoch)[0].tobytes()
        for seed in range(4)
        for epoch in range(4)
    ]
    assert len(set(orders)) == 16


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_training_applies_the_mask_of_its_seed_and_step_inverted(rate):
    """With a learning rate of 0 every loss can be computed from the initial kernel."""
    recipe = replace(STILL, dropout=rate, epochs=2)
    heads = train(recipe, [0, 1])
    seen = []
    for head in heads:
        kernel = initial_kernel(head.seed).astype(np.float64)
        for epoch, row in enumerate(head.history):
            order, share = head_step.shuffled(TRAIN, 32, head.seed, epoch)
            total = 0.0
            for step, (batch, weight) in enumerate(zip(order, share, strict=True)):
                number = tf.constant([head.seed, epoch * len(order) + step])
                keep = head_step.keep_mask(rate, (32, WIDTH), number).numpy()
                logits = (VALUES[batch] * keep / (1 - rate)) @ kernel
                top = logits.max(axis=1, keepdims=True)
                each = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
                each -= logits[np.arange(32), LABELS[batch]]
                total += each[weight > 0].sum()
            assert row.train.loss == pytest.approx(total / TRAIN, rel=1e-5)
            seen.append(row.train.loss)
    assert len({round(loss, 4) for loss in seen}) == 4
    # Without dropout, nothing but the order differs between epochs.
    still = losses(train(replace(STILL, epochs=2))[0])
    assert still[0] == pytest.approx(still[1], rel=1e-6)
    assert abs(seen[0] - seen[1]) > 1e-4 * seen[0]


# --- dropout -------------------------------------------------------------------------------------

ROWS, COLUMNS, STEPS = 128, 1280, 12


def masks(rate: float, seed: int = 0, rows: int = ROWS, steps: int = STEPS) -> np.ndarray:
    """bool [steps, rows, columns]."""
    shape = (rows, COLUMNS)
    return np.stack(
        [
            head_step.keep_mask(rate, shape, tf.constant([seed, step])).numpy()
            for step in range(steps)
        ]
    )


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.003, 0.75, 255 / 256])
def test_the_rate_of_dropout_is_exact(rate):
    dropped = ~masks(rate)
    rows, columns = STEPS * ROWS, COLUMNS
    fraction = rate * 256 % 1
    # Each row has one of two thresholds, a 256th apart.
    deviation = np.sqrt(
        rate * (1 - rate) / (rows * columns) + fraction * (1 - fraction) / 256**2 / rows
    )
    assert abs(dropped.mean() - rate) < 5 * deviation


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.003])
def test_every_row_and_every_column_has_the_rate_on_average(rate):
    dropped = ~masks(rate)
    fraction = rate * 256 % 1
    between = fraction * (1 - fraction) / 256**2
    by_row = dropped.reshape(-1, COLUMNS).mean(axis=1)
    assert np.abs(by_row - rate).max() < 6 * np.sqrt(rate * (1 - rate) / COLUMNS) + 1 / 256
    expected = rate * (1 - rate) / COLUMNS + between
    assert by_row.var() == pytest.approx(expected, rel=0.25)
    by_column = dropped.reshape(-1, COLUMNS).mean(axis=0)
    assert np.abs(by_column - rate).max() < 6 * np.sqrt(rate * (1 - rate) / (STEPS * ROWS))
    # Neighbours come from one random word, and are independent all the same.
    left, right = dropped[..., :-1] - rate, dropped[..., 1:] - rate
    correlation = (left * right).mean() / (rate * (1 - rate))
    assert abs(correlation) < 5 / np.sqrt(left.size) + between / (rate * (1 - rate))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_every_step_and_every_seed_has_its_own_mask(rate):
    found = np.concatenate([masks(rate, seed, rows=8, steps=4) for seed in range(4)])
    # What chance makes equal of two independent masks.
    chance = rate**2 + (1 - rate) ** 2
    for place, mask in enumerate(found):
        for other in found[:place]:
            assert abs((mask == other).mean() - chance) < 0.03
    again = masks(rate, 0, rows=8, steps=1)
    np.testing.assert_array_equal(again[0], found[0])


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.003])
def test_inverted_dropout_is_unbiased(rate):
    generator = np.random.default_rng(0)
    values = generator.normal(1, 1, COLUMNS)
    kept = masks(rate).reshape(-1, COLUMNS)
    sums = kept @ values / (1 - rate)
    variance = (values**2).sum() * rate / (1 - rate)
    fraction = rate * 256 % 1
    variance += fraction * (1 - fraction) / 256**2 * values.sum() ** 2 / (1 - rate) ** 2
    assert abs(sums.mean() - values.sum()) < 5 * np.sqrt(variance / len(kept))


# --- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "batch"), [(1, 1), (1, 128), (127, 128), (128, 128), (129, 128), (300, 7), (300, 32)]
)
def test_an_epoch_has_every_image_once(images, batch):
    order, share = head_step.shuffled(images, batch, 5, 2)
    assert order.shape == share.shape == (-(-images // batch), batch)
    real = order.ravel()[:images]
    assert sorted(real) == list(range(images))
    assert ((order >= 0) & (order < images)).all()
    np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(share.ravel()[images:], 0)
    for row in share:
        assert len(set(row[row > 0])) == 1
    if images > 100:
        assert not np.array_equal(real, np.arange(images))


def test_padding_weighs_nothing():
    """A last batch of one image: the images that pad it may be anything."""
    images = 33
    for epoch in range(3):
        _, share = head_step.shuffled(images, 32, 0, epoch)
        assert (share[-1] > 0).sum() == 1
    values, labels = VALUES[: images + 10], LABELS[: images + 10]
    usual = train(PLAIN, on=task(values, labels, images))[0]
    assert [row.train.total for row in usual.history] == [images] * 3
    still = train(STILL, on=task(values, labels, images))[0]
    logits = values[:images] @ initial_kernel(0)
    expected = evaluate.score(logits, labels[:images])
    for row in still.history:
        assert row.train.loss == pytest.approx(expected.loss, rel=1e-5)
        assert row.train.correct == expected.correct
        assert row.train.top5_correct == expected.top5_correct


# --- leaving the finite numbers ------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_head_that_meets_a_bad_feature_stops_and_the_others_finish(bad, threads):
    """Half of the heads drop the one bad feature, in the only epoch there is."""
    rate, image, column = 0.5, 17, 9
    values = VALUES.copy()
    values[image, column] = bad
    recipe = replace(RECIPE, dropout=rate, epochs=1)
    seeds = range(8)
    meets: dict[int, int] = {}
    for seed in seeds:
        order, share = head_step.shuffled(TRAIN, 32, seed, 0)
        step, row = np.argwhere((order == image) & (share > 0))[0]
        mask = head_step.keep_mask(rate, (32, WIDTH), tf.constant([seed, step]))
        if mask.numpy()[row, column]:
            meets[seed] = int(step)
    assert 0 < len(meets) < len(seeds)
    clean = {head.seed: head for head in train(recipe, seeds)}
    for head in train(recipe, seeds, threads, task(values)):
        if head.seed in meets:
            assert isinstance(head.error, NonFiniteError)
            line = str(head.error)
            assert "\n" not in line
            for part in (f"step {meets[head.seed] + 1} of 10", "epoch 1", f"seed {head.seed}"):
                assert part in line
            assert head.history == head.weights == []
        else:
            assert head.error is None
            assert identical(head, clean[head.seed])


def test_a_head_that_meets_a_bad_feature_later_keeps_what_was_before():
    values = VALUES.copy()
    values[17, 9] = np.nan
    recipe = replace(RECIPE, dropout=0.9, epochs=60)
    head = train(recipe, on=task(values))[0]
    assert head.error is not None
    assert f"epoch {len(head.history) + 1}," in str(head.error)
    assert 0 < len(head.history) < 60
    assert all(np.isfinite(row.train.loss) for row in head.history)


def test_a_bad_feature_in_validation_is_an_error_too():
    values = VALUES.copy()
    values[TRAIN + 3, 5] = np.inf
    head = train(RECIPE, on=task(values))[0]
    assert isinstance(head.error, NonFiniteError)
    assert "validation" in str(head.error)
    assert "epoch 1, seed 0" in str(head.error)


def test_a_bad_feature_of_a_test_image_is_a_failure_never_a_record(tmp_path, monkeypatch):
    """A loss that is no number makes a record that nothing can read again."""
    from effbench.records import store
    from effbench.sweep import resolve, run_job
    from effbench.training import job

    extract = feature_cache.extract

    def spoiled(*arguments):
        found = extract(*arguments)
        found.values[-1] = np.nan  # of the last test image
        return found

    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(feature_cache, "extract", spoiled)
    options = sweep_options(
        variants="B0", weights="none", data="digits", limit=20, epochs=1, image_size=32,
        device="cpu",
    )  # fmt: skip
    specs = resolve.resolve(options).specs
    place = store.Store(tmp_path / "results")
    said: list[job.Message] = []
    try:
        run_job.run(
            job.Job(specs, place.directory, None, None, "", "cpu", 0.0), said.append, lambda: False
        )
    except NonFiniteError:
        pass
    else:
        assert [message.problem.kind for message in said if message.key] == ["non-finite"]
    records = place.load()
    assert (records.results, records.problems) == ((), ())


# --- where heads train ---------------------------------------------------------------------------

PLACED = """
import json
import numpy as np
from dataclasses import replace
from tensorflow.python.eager import context
from effbench import progress
from effbench.config.recipes import RECIPES
from effbench.hardware.distribution import Layout
from effbench.hardware.tensorflow_setup import tf
from effbench.training.heads import head_step, head_training
from effbench.training.evaluate import Evaluator

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
recipe = replace(RECIPES["case-study"], epochs=1, batch_size=10)
with tf.device("/CPU:1"):
    values = tf.constant(np.random.rand(40, 8).astype(np.float32))
    lookup = lambda positions: tf.gather(values, positions)
    labels = np.zeros(40, np.uint8)
    evaluator = Evaluator(lookup, 40)
    task = head_step.HeadTask(lookup, labels, evaluator, labels, 8, Layout("/CPU:1"))
    context.context().enable_run_metadata()
    head_training.train(task, recipe, [0], 1, progress.silent)
    graphs = context.context().export_run_metadata().function_graphs
nodes = [
    node
    for graph in graphs
    for part in graph.partition_graphs
    for node in [*part.node, *(each for function in part.library.function
                               for each in function.node_def)]
]
print(json.dumps(sorted({node.device[-5:] for node in nodes if node.op == "GatherV2"})))
"""


def test_heads_train_on_the_device_that_was_chosen():
    """`tf.device` holds for one thread; a TPU is not where other threads compute by default."""
    done = subprocess.run(
        (sys.executable, "-c", PLACED), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["CPU:1"]


# --- choosing an epoch ---------------------------------------------------------------------------


def history(*rows: tuple[float, int]) -> list[Epoch]:
    train_scores = Scores(1, 2, 10, 1.0)
    return [
        Epoch(number, 0.1, train_scores, Scores(correct, 10, 10, loss))
        for number, (loss, correct) in enumerate(rows, 1)
    ]


@pytest.mark.parametrize(
    ("rows", "loss", "accuracy"),
    [
        ([(0.5, 5)], 0, 0),
        ([(0.5, 5), (0.4, 6), (0.3, 7)], 2, 2),
        ([(0.3, 5), (0.4, 6), (0.5, 7)], 0, 2),
        ([(0.4, 5), (0.3, 6), (0.3, 7), (0.5, 7)], 1, 2),
        ([(0.4, 7), (0.4, 7), (0.4, 7)], 0, 0),
    ],
)
def test_choose(rows, loss, accuracy):
    found = history(*rows)
    assert head_training.choose(found, "val_loss") == loss
    assert head_training.choose(found, "val_accuracy") == accuracy
    assert head_training.choose(found, "final") == len(rows) - 1


# --- cached features against the backbone in every step ------------------------------------------


@pytest.fixture(scope="module")
def backbone(device):
    from effbench.config.variants import VARIANTS
    from effbench.data.datasets import load
    from effbench.models import backbone as backbones

    data = load("digits").limited(60)
    model = backbones.build(VARIANTS["B0"], 32, "float32")
    # With as many images as this the statistics are sound, and rounding is not blown up.
    backbones.calibrate(model, 32, "torch", data.train.images)
    return model, data


@pytest.fixture(scope="module")
def both_ways(backbone, tmp_path_factory):
    """(cached, direct) tasks with evaluators of the test images: the two ways of `experiment`."""
    from effbench.models import backbone as backbones

    model, data = backbone
    images = np.concatenate([split.images for split in data.splits])
    about = FeatureSet("B0", "random", 32, "torch", "float32", "cpu", "", "digits")
    run = backbones.forward(model, 32, "torch", 32, 2)
    folder = tmp_path_factory.mktemp("features")
    program = TENSORFLOW.compile(run)
    found = feature_cache.extract(program, 32, [(about, images)], folder, progress.silent).values
    sizes = [len(split.labels) for split in data.splits]
    assert sizes == [60, 15, 15]

    def direct(images: np.ndarray, batch: int):
        pixels, run = tf.constant(images), backbones.forward(model, 32, "torch", batch, 2)
        return lambda positions: run(tf.gather(pixels, positions))

    def ways(cached: bool):
        parts = np.split(found, np.cumsum(sizes)[:-1])
        batches = (16, evaluate.BATCH, evaluate.BATCH)
        lookups = [
            gather(part) if cached else direct(split.images, batch)
            for part, split, batch in zip(parts, data.splits, batches, strict=True)
        ]
        on = HeadTask(
            lookups[0], data.train.labels, Evaluator(lookups[1], 15), data.validation.labels, 1280
        )
        return on, Evaluator(lookups[2], 15)

    return ways(True), ways(False)


def test_cached_features_and_the_backbone_in_every_step_give_the_same(both_ways, backbone):
    recipe = replace(RECIPE, batch_size=16)
    (cached, cached_test), (direct, direct_test) = both_ways
    seeds = [0, 7]
    for ours, theirs in zip(
        train(recipe, seeds, 2, cached), train(recipe, seeds, 1, direct), strict=True
    ):
        assert ours.error is None
        assert theirs.error is None
        for a, b in zip(ours.history, theirs.history, strict=True):
            assert a.train.loss == pytest.approx(b.train.loss, rel=1e-3)
            assert a.validation.loss == pytest.approx(b.validation.loss, rel=1e-3)
            assert a.learning_rate == b.learning_rate
            assert (a.train.correct, a.train.top5_correct) == (
                b.train.correct,
                b.train.top5_correct,
            )
            assert a.validation.correct == b.validation.correct
        for (kernel, bias), (other, other_bias) in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(kernel, other, atol=2e-3)
            np.testing.assert_allclose(bias, other_bias, atol=2e-3)
        logits = cached_test.logits(ours.weights[-1][0][None], ours.weights[-1][1][None])[0]
        others = direct_test.logits(theirs.weights[-1][0][None], theirs.weights[-1][1][None])[0]
        np.testing.assert_allclose(logits, others, atol=2e-2)
        np.testing.assert_array_equal(logits.argmax(axis=1), others.argmax(axis=1))
        # They are not all the same image, and the head did move.
        assert logits.std(axis=0).max() > 0.1
        assert np.abs(ours.weights[-1][0] - ours.weights[0][0]).max() > 0.01


def test_the_features_of_both_ways_belong_to_the_same_images(both_ways):
    (cached, _), (direct, _) = both_ways
    for batch in (np.arange(16), np.arange(16)[::-1] * 3, np.full(16, 59)):
        positions = tf.constant(batch.astype(np.int32))
        one, other = cached.lookup(positions).numpy(), direct.lookup(positions).numpy()
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert one.std() > 0.1


def test_a_whole_run_is_the_same_with_and_without_the_cache(tmp_path, monkeypatch):
    """The case study's own way, end to end: losses, counts and predictions of every image."""
    from effbench.records import store
    from effbench.sweep import resolve, run_job
    from effbench.training import job

    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    results = []
    for cached in (True, False):
        options = sweep_options(
            variants="B0", weights="none", data="digits", limit=60, epochs=3,
            batch_size=16, image_size=32, device="cpu", feature_cache=cached, seeds="0,5",
        )  # fmt: skip
        specs = resolve.resolve(options).specs
        place = store.Store(tmp_path / f"results-{cached}")
        run_job.run(
            job.Job(specs, place.directory, None, None, "", "cpu", 0.0),
            lambda _: None,
            lambda: False,
        )
        records = place.load()
        assert records.problems == ()
        assert len(records.results) == 2
        results.append(
            [
                (row, np.load(place.folder(row.spec.key) / row.predictions.file))
                for row in sorted(records.results, key=lambda row: row.spec.seed)
            ]
        )
    for (ours, arrays), (theirs, others) in zip(*results, strict=True):
        assert ours.spec.key != theirs.spec.key
        assert ours.provenance.features_computed == 90
        assert theirs.provenance.features_computed == 0
        for a, b in zip(ours.history, theirs.history, strict=True):
            assert a.train.loss == pytest.approx(b.train.loss, rel=1e-3)
            assert a.validation.loss == pytest.approx(b.validation.loss, rel=1e-3)
        for a, b in zip(ours.selected, theirs.selected, strict=True):
            assert (a.rule, a.epoch) == (b.rule, b.epoch)
            assert a.test.loss == pytest.approx(b.test.loss, rel=1e-3)
            assert (a.test.correct, a.test.top5_correct) == (b.test.correct, b.test.top5_correct)
        assert set(arrays) == set(others)
        for name in arrays:
            if name.endswith("probability"):
                np.testing.assert_allclose(arrays[name], others[name], atol=3e-3)
            else:
                np.testing.assert_array_equal(arrays[name], others[name])
