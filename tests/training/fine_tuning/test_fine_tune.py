"""The training of whole networks: numbers, stages, selection; killed anywhere, it goes on."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import tiny

from effbench.config.recipes import RECIPES
from effbench.config.schedule import split
from effbench.errors import NonFiniteError, PreemptedError
from effbench.progress import Step
from effbench.records.scores import Scores
from effbench.training.fine_tuning import fine_tune, fine_tune_step

PLAIN = replace(
    tiny.RECIPE, stages=1, flip=False, cutout=0.0, randaugment=0.0, mixup=0.0, dropout=0.0
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, program):
    """A training that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    assert program(folder) == 0
    return found(folder)


@pytest.fixture(scope="module")
def program():
    """Trains in a folder, in a process that may die, and says how that ended."""
    with subprocess.Popen(
        [sys.executable, tiny.__file__],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(folder: Path, *death: str) -> int:
            print(folder, *death, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run


def found(folder: Path) -> tuple[list[bytes], str]:
    with np.load(folder / "trained.npz") as weights:
        arrays = [weights[name].tobytes() for name in weights.files]
    return arrays, (folder / "history.txt").read_text()


# 4 steps an epoch, 4 epochs, the second stage begins with the ninth step; a save follows each.
@pytest.mark.parametrize(
    "death",
    [
        ("step", "6"),
        ("step", "9"),  # the first of the second stage
        ("fsync", "5"),
    ],
    ids=" ".join,
)
def test_killed_and_started_again_it_ends_with_the_same_bits(death, whole, program, tmp_path):
    assert program(tmp_path, *death) == -9
    assert not (tmp_path / "trained.npz").exists()
    assert program(tmp_path) == 0
    assert found(tmp_path) == whole


def test_it_learns_and_every_epoch_is_in_the_history(whole, tmp_path):
    trained = tiny.train(replace(tiny.task(PLAIN), seed=1), tiny.hooks(tmp_path))
    losses = [row.train.loss for row in trained.history]
    assert losses[-1] < losses[0]
    assert [row.epoch for row in trained.history] == [1, 2, 3, 4]
    assert {row.train.total for row in trained.history} == {64}  # 4 whole batches of 16
    assert {row.validation.total for row in trained.history} == {tiny.HELD_OUT}
    best = min(trained.history, key=lambda row: row.validation.loss)
    assert trained.epochs["val_loss"] == best.epoch
    assert {*trained.weights} == {*trained.epochs.values()}
    curve = (tmp_path / "runs" / "tiny" / "history.csv").read_text().splitlines()
    assert len(curve) == 5
    assert curve[1].startswith("1,")
    assert not trained.resumed


def test_the_selected_weights_have_the_scores_of_their_epoch(tmp_path):
    own = tiny.task(PLAIN)
    trainer = tiny.trainer(own)
    validation = tiny.validation(trainer)
    trained = fine_tune.train(
        trainer, own, split(PLAIN, tiny.SIZE), validation, tiny.hooks(tmp_path)
    )
    for epoch, weights in trained.weights.items():
        with trainer.using(weights):
            logits = trainer.logits(validation.evaluator)
        expected = trained.history[epoch - 1].validation
        assert fine_tune.score(logits, validation.labels) == expected


def test_a_run_that_goes_on_has_the_weights_of_every_rule(tmp_path, monkeypatch):
    """The epochs of rules come before the checkpoint, and are two; that of the end is none yet."""
    losses, right = (9.0, 1.0, 3.0, 2.0), (5, 6, 8, 7)

    def validated(*arguments: object) -> Scores:
        epoch = arguments[-1]
        return Scores(right[epoch - 1], 10, 20, losses[epoch - 1])

    monkeypatch.setattr(fine_tune, "_validate", validated)
    own = tiny.task(PLAIN)
    whole = tiny.train(own, tiny.hooks(tmp_path / "whole", minutes=None))
    assert whole.epochs == {"val_loss": 2, "val_accuracy": 3, "final": 4}
    hooks, seen = tiny.hooks(tmp_path / "own", minutes=1e9), iter(range(1, 17))
    with pytest.raises(PreemptedError, match="step 14 is saved"):
        tiny.train(own, replace(hooks, stopped=lambda: next(seen) == 14))
    hooks = tiny.hooks(tmp_path / "own", minutes=1e9)
    assert [*hooks.keeper.load().kept] == [2, 3]
    again = tiny.train(own, hooks)
    assert again.epochs == whole.epochs
    for epoch, weights in whole.weights.items():
        pairs = zip(weights, again.weights[epoch], strict=True)
        assert all(one.tobytes() == other.tobytes() for one, other in pairs)


def test_so_many_steps_and_no_more(tmp_path):
    recipe = replace(PLAIN, steps=6)
    trained = tiny.train(tiny.task(recipe), tiny.hooks(tmp_path))
    assert [row.train.total for row in trained.history] == [64, 32]


@pytest.fixture(autouse=True)
def _one_by_one(monkeypatch):
    """Pieces of one step each."""
    monkeypatch.setattr(fine_tune, "PIECE_SECONDS", 0.0)


def test_a_save_copies_no_variable_before_it_is_written(tmp_path, monkeypatch):
    saved = []
    hooks = tiny.hooks(tmp_path, minutes=1e9)
    monkeypatch.setattr(hooks.keeper, "save", saved.append)
    with pytest.raises(PreemptedError):
        tiny.train(tiny.task(PLAIN), replace(hooks, stopped=lambda: True))
    (checkpoint,) = saved
    assert checkpoint.variables
    assert not any(isinstance(variable, np.ndarray) for variable in checkpoint.variables)


def test_told_to_stop_it_saves_and_goes_on_later(tmp_path):
    steps: list[Step] = []
    hooks = tiny.hooks(tmp_path, minutes=1e9, report=steps.append)
    task = tiny.task(PLAIN)
    with pytest.raises(PreemptedError, match="step 1 is saved; run it again to go on"):
        tiny.train(task, replace(hooks, stopped=lambda: True))
    again = tiny.train(task, tiny.hooks(tmp_path, minutes=1e9, report=steps.append))
    assert again.resumed == 1
    assert [step.phase for step in steps if step.lasting] == ["go on from the checkpoint at step 1"]
    assert [row.epoch for row in again.history] == [1, 2, 3, 4]


def test_damaged_checkpoints_are_said(tmp_path):
    hooks, task = tiny.hooks(tmp_path, minutes=1e9), tiny.task(PLAIN)
    with pytest.raises(PreemptedError):
        tiny.train(task, replace(hooks, stopped=lambda: True))
    (path,) = (tmp_path / ".checkpoints").glob("*/step-*.npz")
    path.write_bytes(path.read_bytes()[:-1])
    steps: list[Step] = []
    tiny.train(task, tiny.hooks(tmp_path, minutes=1e9, report=steps.append))
    assert [step.phase for step in steps if step.lasting] == [
        f"checkpoint {path.name} is damaged: passed over",
        "begin again: no checkpoint is whole",
    ]


def test_composer_trains_for_fifty_steps(tmp_path):
    """By its own numbers, but for the batch, the epochs and their warm-up."""
    recipe = replace(RECIPES["composer"], batch_size=14, epochs=10, warmup_epochs=1.0)
    trained = tiny.train(tiny.task(recipe), tiny.hooks(tmp_path))
    losses = [row.train.loss for row in trained.history]
    assert len(losses) == 10  # of five steps each
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    rates = [row.learning_rate for row in trained.history]
    assert max(rates) == pytest.approx(0.08 * 14 / 4096, rel=0.05)
    assert rates[-1] < 0.1 * max(rates)


@pytest.mark.parametrize("step", [4, 6], ids=["an epoch", "all"])
def test_stopped_after_the_last_step_it_still_validates(step, tmp_path):
    own = tiny.task(replace(PLAIN, steps=6))
    whole = tiny.train(own, tiny.hooks(tmp_path / "whole"))
    hooks = tiny.hooks(tmp_path / "own", minutes=1e9)
    seen = iter(range(1, 7))
    with pytest.raises(PreemptedError, match=f"step {step} is saved"):
        tiny.train(own, replace(hooks, stopped=lambda: next(seen) == step))
    again = tiny.train(own, tiny.hooks(tmp_path / "own", minutes=1e9))
    assert [row.train for row in again.history] == [row.train for row in whole.history]
    assert len(again.history) == 2


def test_progress_tells_stage_size_and_losses(tmp_path):
    steps: list[Step] = []
    tiny.train(tiny.task(), tiny.hooks(tmp_path, report=steps.append))
    phases = list(dict.fromkeys(step.phase for step in steps))
    assert phases == [
        "compile stage 1/2 at 32 px",
        "train stage 1/2 at 32 px",
        "compile stage 2/2 at 64 px",
        "train stage 2/2 at 64 px",
    ]
    assert (steps[-1].done, steps[-1].total, steps[-1].unit) == (128, 128, "images")
    for words in ("epoch 4/4", "loss ", "acc ", "val acc "):
        assert any(words in step.note for step in steps)


def test_progress_counts_each_epoch_once_and_ends_with_the_steps(tmp_path):
    steps: list[Step] = []
    tiny.train(
        tiny.task(replace(PLAIN, epochs=3, steps=6)), tiny.hooks(tmp_path, report=steps.append)
    )
    seen = [(step.done, step.note.split(",")[0]) for step in steps if step.phase[:5] == "train"]
    assert len(set(seen)) == len(seen)
    assert {step.total for step in steps if step.phase[:5] == "train"} == {6 * 16}
    assert seen[-1] == (6 * 16, "epoch 2/3")
    assert (4 * 16, "epoch 1/3") in seen


def test_what_is_not_finite_ends_it_at_once(tmp_path):
    recipe = replace(PLAIN, maximal_learning_rate=1e38)
    with pytest.raises(NonFiniteError) as error:
        tiny.train(tiny.task(recipe), tiny.hooks(tmp_path))
    text = str(error.value)
    assert "at step 2" in text or "at step 3" in text
    assert "learning rate 6.25e+36" in text
    # There is one, but its weights are those that led to it.
    assert (tmp_path / ".checkpoints").exists()
    assert "last good checkpoint: none" in text


def test_the_last_good_checkpoint_is_one_whose_weights_did_well(tmp_path, monkeypatch):
    honest = fine_tune_step.NetworkTrainer.run

    def run(self, stage, order, first, last, step):
        losses, right = honest(self, stage, order, first, last, step)
        return np.where(np.arange(len(losses)) + step - first >= 6, np.nan, losses), right

    monkeypatch.setattr(fine_tune_step.NetworkTrainer, "run", run)
    monkeypatch.setattr(fine_tune, "PIECE_SECONDS", 0.0)
    with pytest.raises(NonFiniteError, match=r"at step 7.*good checkpoint: .*/step-000000005-"):
        tiny.train(tiny.task(PLAIN), tiny.hooks(tmp_path))
