"""The schedule and the optimizer against independent formulas."""

from dataclasses import replace

import numpy as np
import pytest

from effbench.config import recipe_settings
from effbench.config.recipes import RECIPES
from effbench.hardware.tensorflow_setup import tf
from effbench.training import optimizers

RECIPE = RECIPES["case-study"]
IMAGES = 45_000
EPOCH = 351  # the case study's 45,000 // 128
LOW, HIGH = 1e-4, 5e-2


def triangular2(step: int, half_cycle: int) -> float:
    """Smith, "Cyclical learning rates", 2017: a triangle whose height halves each cycle."""
    cycle, inside = divmod(step, 2 * half_cycle)
    rise = inside / half_cycle if inside <= half_cycle else 2 - inside / half_cycle
    return LOW + (HIGH - LOW) / 2**cycle * rise


@pytest.mark.parametrize(
    "step", [0, 1, 350, 351, 702, 703, 1404, 1405, 2106, 2808, 4000, 8773, 25 * 352]
)
def test_schedule_is_triangular2(step):
    rate = float(optimizers.schedule(RECIPE, IMAGES)(step))
    # float32 throughout: near a low point 1 - x is a difference of large numbers.
    assert rate == pytest.approx(triangular2(step, 2 * EPOCH), rel=1e-4, abs=2e-6)


def test_schedule_starts_low_and_peaks_at_half_of_what_went_before():
    schedule = optimizers.schedule(RECIPE, IMAGES)
    assert float(schedule(0)) == pytest.approx(1e-4)
    peaks = [float(schedule((2 * cycle + 1) * 2 * EPOCH)) for cycle in range(5)]
    assert peaks[0] == pytest.approx(5e-2)
    above = np.array(peaks) - LOW
    np.testing.assert_allclose(above[1:] / above[:-1], 0.5, rtol=1e-4)
    rates = [float(schedule(step)) for step in range(0, 4 * EPOCH + 1, 13)]
    assert max(rates) <= HIGH * (1 + 1e-6)
    assert min(rates) >= LOW * (1 - 1e-4)


def test_schedule_takes_the_optimizers_own_counter():
    schedule = optimizers.schedule(RECIPE, IMAGES)
    assert float(schedule(tf.Variable(702, dtype=tf.int64))) == pytest.approx(5e-2)


@pytest.mark.parametrize(
    ("images", "steps"), [(1, 1), (20, 1), (127, 1), (128, 1), (255, 1), (256, 2), (4000, 31)]
)
def test_an_epoch_of_limited_data_has_at_least_one_step(images, steps):
    schedule = optimizers.schedule(RECIPE, images)
    assert float(schedule(2 * steps)) == pytest.approx(HIGH)
    assert float(schedule(4 * steps)) == pytest.approx(LOW, rel=1e-3)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.0), (43, 0.0005), (87, 0.001), (88, 0.001), (9999, 0.001)]
)
def test_the_transfer_recipe_warms_up_for_an_epoch_and_stays(step, rate):
    found = float(optimizers.schedule(RECIPES["finetune"], IMAGES)(step))
    assert found == pytest.approx(rate, rel=0.02)


def test_a_rate_for_one_batch_grows_with_the_batch():
    recipe = replace(RECIPES["finetune"], batch_size=128)
    assert float(optimizers.schedule(recipe, IMAGES)(10**6)) == pytest.approx(0.0005 / 2)


def test_without_a_warm_up_the_first_step_has_the_whole_rate():
    recipe = replace(RECIPES["finetune"], warmup_epochs=0.0)
    assert float(optimizers.schedule(recipe, IMAGES)(0)) == pytest.approx(0.001)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_recipes_may_name_every_optimizer_and_schedule(name):
    assert recipe_settings.changed(RECIPES["finetune"], [f"optimizer={name}"]).optimizer == name
    for schedule in optimizers.SCHEDULES:
        settings = [f"schedule={schedule}", "half_cycle_epochs=2"]
        assert recipe_settings.changed(RECIPES["finetune"], settings).schedule == schedule


def test_rmsprop_is_tensorflow_ones():
    """`tf.compat.v1.train.RMSPropOptimizer`, which the references trained with."""
    generator = np.random.default_rng(2)
    initial = generator.normal(size=(6, 10)).astype(np.float32)
    own, other = tf.Variable(initial), tf.Variable(initial)
    ours = optimizers.build(replace(RECIPES["finetune"], warmup_epochs=0.0), IMAGES)
    theirs = tf.compat.v1.train.RMSPropOptimizer(0.001, 0.9, 0.9, 1e-3)
    for _ in range(20):
        gradient = tf.constant(generator.normal(0.1, 1, initial.shape), tf.float32)
        ours.apply_gradients([(gradient, own)])
        theirs.apply_gradients([(gradient, other)])
    np.testing.assert_allclose(own.numpy(), other.numpy(), rtol=1e-6)
    assert not np.allclose(own.numpy(), initial, rtol=1e-3)


def test_composer_warms_up_for_16_epochs_and_ends_at_0():
    """Of ImageNet's images it has 312 steps an epoch."""
    rate, epoch = optimizers.schedule(RECIPES["composer"], 1_281_167), 312
    assert float(rate(8 * epoch)) == pytest.approx(0.04)
    assert float(rate(16 * epoch)) == pytest.approx(0.08)
    assert float(rate(208 * epoch)) == pytest.approx(0.04, rel=1e-3)
    assert float(rate(400 * epoch)) == pytest.approx(0, abs=1e-9)
    small = replace(RECIPES["composer"], batch_size=512)
    assert float(optimizers.schedule(small, 1_281_167)(16 * 2502)) == pytest.approx(0.01)


def adabelief(
    variables: list[np.ndarray], gradients: list[list[np.ndarray]], start: int, half_cycle: int
) -> list[list[np.ndarray]]:
    """Zhuang et al. 2020, rectified as in RAdam (Liu et al. 2019), float64.

    Decoupled weight decay, scaled by the learning rate, on every variable.
    """
    beta1, beta2, epsilon, decay = 0.9, 0.999, 1e-14, 1e-5
    values = [each.astype(np.float64) for each in variables]
    mean = [np.zeros_like(each) for each in values]
    belief = [np.zeros_like(each) for each in values]
    longest = 2 / (1 - beta2) - 1
    path = []
    for number, each in enumerate(gradients):
        step = start + number
        rate = triangular2(step, half_cycle)
        t = step + 1
        length = longest - 2 * t * beta2**t / (1 - beta2**t)
        for place, gradient in enumerate(each):
            gradient = gradient.astype(np.float64)
            mean[place] = beta1 * mean[place] + (1 - beta1) * gradient
            surprise = (gradient - mean[place]) ** 2
            belief[place] = beta2 * belief[place] + (1 - beta2) * surprise + epsilon
            update = mean[place] / (1 - beta1**t)
            if length >= 5:
                rectified = np.sqrt(
                    (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
                )
                spread = np.sqrt(belief[place] / (1 - beta2**t))
                update = rectified * update / (spread + epsilon)
            values[place] = values[place] - rate * (update + decay * values[place])
        path.append([value.copy() for value in values])
    return path


@pytest.mark.parametrize("start", [0, 5, 4000])
def test_adabelief_equals_an_independent_implementation(start):
    generator = np.random.default_rng(1)
    # Large weights, so that the decay of the kernel and of the bias alike shows.
    initial = [
        generator.normal(0, 100, (6, 10)).astype(np.float32),
        generator.normal(0, 100, 10).astype(np.float32),
    ]
    gradients = [
        [generator.normal(0.3, 1, each.shape).astype(np.float32) for each in initial]
        for _ in range(20)
    ]
    images = 10 * RECIPE.batch_size
    optimizer = optimizers.build(RECIPE, images)
    variables = [tf.Variable(each) for each in initial]
    optimizer.iterations.assign(start)
    expected = adabelief(initial, gradients, start, 20)
    moved = [np.zeros_like(each, np.float64) for each in initial]
    for each, wanted in zip(gradients, expected, strict=True):
        optimizer.apply_gradients(zip(map(tf.constant, each), variables, strict=True))
        for place, (variable, value) in enumerate(zip(variables, wanted, strict=True)):
            moved[place] = value - initial[place]
            # float32 cannot say a weight of 100 closer than 1e-5.
            np.testing.assert_allclose(variable.numpy(), value, rtol=3e-6, atol=1e-5)
    assert all(np.abs(each).max() > 1e-3 for each in moved)
    assert int(optimizer.iterations) == start + 20


@pytest.mark.parametrize("shape", [(4, 3), (3,)])
def test_weight_decay_is_on_every_variable_and_scaled_by_the_learning_rate(shape):
    recipe = replace(RECIPE, weight_decay=0.1)
    optimizer = optimizers.build(recipe, 10 * RECIPE.batch_size)
    variable = tf.Variable(np.full(shape, 2.0, np.float32))
    optimizer.iterations.assign(20)  # the peak of the schedule
    optimizer.apply_gradients([(tf.zeros(shape), variable)])
    np.testing.assert_allclose(variable.numpy(), 2 - HIGH * 0.1 * 2, rtol=1e-6)


def test_each_optimizer_is_fresh():
    first = optimizers.build(RECIPE, IMAGES)
    variable = tf.Variable([1.0, 2.0])
    for _ in range(3):
        first.apply_gradients([(tf.constant([1.0, -1.0]), variable)])
    second = optimizers.build(RECIPE, IMAGES)
    assert second is not first
    assert int(first.iterations) == 3
    assert int(second.iterations) == 0
    twin, copy = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    second.apply_gradients([(tf.constant([1.0, -1.0]), twin)])
    optimizers.build(RECIPE, IMAGES).apply_gradients([(tf.constant([1.0, -1.0]), copy)])
    np.testing.assert_array_equal(twin.numpy(), copy.numpy())
    assert not np.array_equal(twin.numpy(), [1.0, 2.0])


def test_both_recipes_share_every_number_of_the_case_study():
    for name in ("case-study", "case-study-2021"):
        recipe = RECIPES[name]
        assert (recipe.initial_learning_rate, recipe.maximal_learning_rate) == (LOW, HIGH)
        assert (recipe.weight_decay, recipe.half_cycle_epochs) == (1e-5, 2)
        assert (recipe.batch_size, recipe.epochs, recipe.dropout) == (128, 25, 0.1)
        assert (recipe.start_step, recipe.selection, recipe.optimizer) == (
            0,
            "val_loss",
            "adabelief",
        )


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("finetune", {"rho": 0.8, "momentum": 0.5, "epsilon": 0.01}),
        ("finetune-adabelief", {"beta_1": 0.8, "beta_2": 0.99, "adabelief_epsilon": 1e-8}),
        ("adamw", {"beta_1": 0.8, "beta_2": 0.99, "adamw_epsilon": 1e-6}),
    ],
)
def test_the_numbers_of_an_optimizer_are_the_recipes(name, numbers):
    recipe = RECIPES.get(name) or replace(RECIPES["finetune"], optimizer=name)
    changed = recipe_settings.changed(recipe, [f"{key}={value}" for key, value in numbers.items()])
    config = optimizers.build(changed, IMAGES).get_config()
    short = {key: key.removeprefix("adabelief_").removeprefix("adamw_") for key in numbers}
    assert {key: config[short[key]] for key in numbers} == numbers
    usual = optimizers.build(recipe, IMAGES).get_config()
    assert all(usual[short[key]] != numbers[key] for key in numbers)


# --- the paper's fine-tuning ----------------------------------------------------------------------


def test_the_cosine_grows_for_an_epoch_and_falls_to_0_at_the_last_step():
    recipe = RECIPES["finetune-cosine"]
    assert (
        replace(RECIPES["finetune"], name=recipe.name, schedule="cosine", weight_decay=0) == recipe
    )
    schedule = optimizers.schedule(recipe, IMAGES)
    warm_up, end = IMAGES // 512, recipe.steps
    rates = {step: float(schedule(step)) for step in (0, 29, warm_up, (warm_up + end) / 2, end)}
    peak = 1e-3  # the paper's, for its batch of 512
    expected = [0, peak * 29 / warm_up, peak, peak / 2, 0]
    np.testing.assert_allclose([*rates.values()], expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(
    ("steps", "warmup_epochs", "first"), [(None, 0.0, 1e-3), (None, 1.0, 0.0), (10_000, 1.0, 0.0)]
)
def test_a_cosine_ends_with_its_epochs_if_its_steps_do_not_end_it_before(
    steps, warmup_epochs, first
):
    recipe = replace(RECIPES["finetune-cosine"], steps=steps, epochs=3, warmup_epochs=warmup_epochs)
    schedule = optimizers.schedule(recipe, 512 * 10)
    assert float(schedule(0)) == pytest.approx(first)
    assert float(schedule(30)) == pytest.approx(0, abs=1e-9)
    assert float(schedule(29)) > 0


def adamw(weights, gradients, rate, decay, betas, epsilon):
    """Loshchilov and Hutter 2019, algorithm 2, with torch's scaling of the decay."""
    weights, first, second = weights.astype(np.float64), 0.0, 0.0
    for step, gradient in enumerate(gradients, 1):
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        mean = first / (1 - betas[0] ** step)
        root = np.sqrt(second / (1 - betas[1] ** step))
        weights = weights - rate * decay * weights - rate * mean / (root + epsilon)
    return weights


@pytest.mark.parametrize(("shape", "decay"), [((4, 3), 0.05), ((3,), 0.0)])
def test_adamw_is_the_published_one_and_decays_kernels_alone(shape, decay):
    recipe = replace(
        RECIPES["finetune"],
        optimizer="adamw",
        weight_decay=0.05,
        warmup_epochs=0.0,
        learning_rate_batch=0,
        maximal_learning_rate=1e-2,
    )
    generator = np.random.default_rng(0)
    initial = generator.normal(size=shape).astype(np.float32)
    gradients = generator.normal(size=(20, *shape)).astype(np.float32)
    variable, optimizer = tf.Variable(initial), optimizers.build(recipe, IMAGES)
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
    expected = adamw(initial, gradients, 1e-2, decay, (0.9, 0.999), 1e-8)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=1e-6)
