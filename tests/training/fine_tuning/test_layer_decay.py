"""Layer-wise decay: the same as a smaller learning rate for a part, whatever the optimizer."""

from dataclasses import replace

import numpy as np
import pytest
from support import shallow, tiny

from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.models.parts import parts
from effbench.training import optimizers
from effbench.training.fine_tuning import layer_decay

IMAGES = 45_000


def recipe(optimizer: str, **changes: object) -> Recipe:
    plain = replace(
        RECIPES["finetune"],
        optimizer=optimizer,
        weight_decay=0.05,
        warmup_epochs=0.0,
        learning_rate_batch=0,
        maximal_learning_rate=1e-2,
    )
    return replace(plain, **changes)


def after(recipe: Recipe, share: float | None) -> np.ndarray:
    """A kernel after 20 steps."""
    generator = np.random.default_rng(0)
    variable = tf.Variable(generator.normal(size=(4, 3)).astype(np.float32))
    optimizer = optimizers.build(recipe, IMAGES)
    if share is not None:
        layer_decay.slow(optimizer, [variable], [share])
    for gradient in generator.normal(0.3, 1, size=(20, 4, 3)).astype(np.float32):
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
    return variable.numpy()


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_a_share_of_the_step_is_that_share_of_the_learning_rate(name):
    slowed = after(recipe(name), 0.3)
    np.testing.assert_allclose(
        slowed, after(recipe(name, maximal_learning_rate=3e-3), None), rtol=2e-5, atol=2e-6
    )
    assert np.abs(slowed - after(recipe(name), None)).max() > 1e-2


def test_depth_is_counted_from_the_classifier_through_every_block(monkeypatch):
    shallow.at_most(monkeypatch, "B0", 2)
    model, _ = backbone.trainable(VARIANTS["B0"], "float32", 0.8)
    kernel = tf.Variable(tf.zeros((1280, 10)))
    trained = [*model.trainable_variables, kernel]
    shares = layer_decay.shares(model, 0.5, trained)
    names = [variable.name for variable in trained]
    depth = {name: -np.log2(share) for name, share in zip(names, shares, strict=True)}
    blocks = sum(VARIANTS["B0"].config["depthes"])
    assert len(parts(model)) == blocks + 2 == 13
    assert shares[-1] == 1
    assert depth["post_conv/kernel:0"] == depth["post_bn/gamma:0"] == 1
    assert depth["stack_5_block1_MB_pw_conv/kernel:0"] == 2
    assert depth["stack_5_block1_se_1_conv/bias:0"] == 2
    assert depth["stack_0_block0_fu_conv/kernel:0"] == blocks + 1
    assert depth["stem_conv/kernel:0"] == blocks + 2
    # Each block is one deeper than the one behind it.
    assert sorted({*depth.values()}) == [*range(blocks + 3)]


def test_a_training_moves_the_first_layers_least():
    moved = {}
    for decay in (1.0, 1e-3):
        task = tiny.task(replace(tiny.RECIPE, stages=1, ema_decay=0.0, layer_decay=decay))
        trainer = tiny.trainer(task)
        before = [variable.numpy() for variable in trainer._trained]
        (stage,) = tiny.schedule.split(task.recipe, tiny.SIZE)
        trainer.run(stage, np.arange(16, dtype=np.int32)[None], 0, 1, 0)
        moved[decay] = [
            np.abs(variable.numpy() - old).mean()
            for variable, old in zip(trainer._trained, before, strict=True)
        ]
    names = [variable.name.split("/")[0] for variable in trainer._trained]
    for name, usual, slowed in zip(names, moved[1.0], moved[1e-3], strict=True):
        depth = {"second": 1, "norm": 2, "first": 3}.get(name, 0)
        if usual > 1e-6:
            assert slowed == pytest.approx(usual * 1e-3**depth, rel=0.05, abs=1e-8), name
