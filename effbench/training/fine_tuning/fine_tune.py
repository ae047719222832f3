"""The training of a whole network: epochs, validation, selection, checkpoints.

It is cut into pieces of a few seconds. Between two of them it can be saved and stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from effbench.config.schedule import Stage, steps_in_epoch
from effbench.errors import NonFiniteError, PreemptedError
from effbench.progress import Report, Step
from effbench.records.scores import LAST, SELECTIONS, Epoch, Scores
from effbench.training.checkpoints import Checkpoint, Deferred, Keeper, State
from effbench.training.evaluate import LOOK, Evaluator, score
from effbench.training.fine_tuning.fine_tune_step import FineTuneTask, NetworkTrainer
from effbench.training.metrics_log import Logs

# What to do about a loss that is not finite; the learning rate is usually too high.
LOWER = "a lower --set learning_rate may help, and float32 where it was bfloat16"

# Training goes on for so long between two looks at the clock, at signals and at the progress bar.
PIECE_SECONDS = 4.0


@dataclass(frozen=True)
class Validation:
    """What an epoch is judged by: logits of the validation images, and int [m] labels."""

    evaluator: Evaluator
    labels: np.ndarray


@dataclass(frozen=True)
class Hooks:
    """What happens around the steps.

    Attributes:
        keeper: keeps the checkpoints.
        stopped: whether the process is to end.
        report: told of every piece and every epoch.
        logs: take the losses and accuracies.
    """

    keeper: Keeper
    stopped: Callable[[], bool]
    report: Report
    logs: Logs


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        history: an entry an epoch.
        epochs: the epoch that each rule of `scores.SELECTIONS` chooses, counted from 1.
        weights: by epoch, the weights of these, in the order of `NetworkTrainer.weights`.
        seconds_before: seconds of training of the processes before this one.
        compile_seconds: seconds of the first step of each stage.
        resumed: how often the training went on from a checkpoint.
    """

    history: tuple[Epoch, ...]
    epochs: Mapping[str, int]
    weights: Mapping[int, list[np.ndarray]]
    seconds_before: float
    compile_seconds: float
    resumed: int


def train(
    trainer: NetworkTrainer,
    task: FineTuneTask,
    stages: Sequence[Stage],
    validation: Validation,
    hooks: Hooks,
) -> Trained:
    """Trains from the last checkpoint, or from the beginning, to the end.

    Args:
        trainer: as it was made; its weights are those to start from.
        task: the task that the trainer was made for.
        stages: the stages of the recipe.
        validation: done after every epoch.
        hooks: what happens around the steps.

    Raises:
        NonFiniteError: the loss, or an output on the validation images, is not finite.
        PreemptedError: the process is to end; what was done is saved.
        CheckpointError: there is a checkpoint that is not this run's.
        DiskError: a checkpoint cannot be written.
    """
    images = len(task.labels)
    state, kept = State(), dict[int, list[np.ndarray]]()
    checkpoint = hooks.keeper.load()
    if checkpoint is not None:
        state, kept = checkpoint.state, checkpoint.kept
        state.resumed += 1
        trainer.restore(checkpoint.variables)
    resumed = checkpoint is not None
    del checkpoint  # a copy of every variable
    for news in _news(hooks.keeper, state, resumed):
        hooks.report(Step(news, lasting=True))
    before, compiling = state.seconds, 0.0
    began = time.monotonic() - before

    def save() -> None:
        state.seconds = time.monotonic() - began
        task.engine.settle()
        variables = [Deferred(variable.numpy) for variable in trainer.variables]
        hooks.keeper.save(Checkpoint(state, variables, kept))

    for stage in stages:
        for epoch in stage.epochs:
            last = steps_in_epoch(task.recipe, images, epoch)
            # An epoch that was saved after its last step still needs its validation.
            if epoch < state.epoch or not last:
                continue
            # No longer those of an epoch that was only the last, or the best, so far.
            kept = {number: kept[number] for number in _best(state.history).values()}
            compiling += _epoch(trainer, task, stage, state, last, save, hooks)
            kept[epoch + 1] = trainer.weights()
            scores = _validate(trainer, kept[epoch + 1], validation, epoch + 1)
            seen = state.steps_done * task.recipe.batch_size
            state.history.append(
                Epoch(
                    epoch + 1,
                    trainer.learning_rate(),
                    Scores(state.correct, state.top5_correct, seen, state.loss / state.steps_done),
                    scores,
                )
            )
            state.epoch, state.steps_done = epoch + 1, 0
            state.loss, state.correct, state.top5_correct = 0.0, 0, 0
            hooks.logs.epoch(state.step, state.history)
            hooks.report(_progress(task, stage, state))
    epochs = _best(state.history) | {LAST: state.history[-1].epoch}
    chosen = {number: kept[number] for number in epochs.values()}
    return Trained(tuple(state.history), epochs, chosen, before, compiling, resumed=state.resumed)


def _best(history: Sequence[Epoch]) -> dict[str, int]:
    """The epoch that each rule chooses from what is done, but for the last, which changes."""
    rules = SELECTIONS if history else {}
    return {rule: min(history, key=key).epoch for rule, key in rules.items() if rule != LAST}


def _news(keeper: Keeper, state: State, resumed: bool) -> Iterator[str]:
    """What a reader wants to know of a training that does not simply begin."""
    for name in keeper.damaged:
        yield f"checkpoint {name} is damaged: passed over"
    if resumed:
        yield f"go on from the checkpoint at step {state.step:,}"
    elif keeper.damaged:
        yield "begin again: no checkpoint is whole"


def _epoch(
    trainer: NetworkTrainer,
    task: FineTuneTask,
    stage: Stage,
    state: State,
    last: int,
    save: Callable[[], None],
    hooks: Hooks,
) -> float:
    """Does the steps of an epoch from where `state` is up to `last`, and changes `state`.

    Returns:
        The seconds of the first step of a stage, which compiles it; 0 where none was one.
    """
    compiling = 0.0
    order = _order(len(task.labels), task, state.epoch)
    speed = 0.0  # steps a second; not known before the first, which compiles
    while state.steps_done < last:
        ready = trainer.ready(stage)
        if not ready:
            # A phase of its own, so that it does not count as the pace of training.
            hooks.report(Step(f"compile {_stage_name(task, stage)}"))
        elif state.steps_done or not state.history:  # else the end of the last epoch has said so
            hooks.report(_progress(task, stage, state))
        most = task.feed.most(state.steps_done) if task.feed else last
        steps = (
            max(1, min(int(PIECE_SECONDS * speed), last - state.steps_done, most)) if ready else 1
        )
        began = time.monotonic()
        losses, right = trainer.run(
            stage, order, state.steps_done, state.steps_done + steps, state.step
        )
        seconds = time.monotonic() - began
        speed = steps / seconds
        compiling += 0.0 if ready else seconds
        for loss, (top1, top5) in zip(
            losses[state.steps_done :][:steps], right[state.steps_done :][:steps], strict=True
        ):
            if not np.isfinite(loss):
                raise NonFiniteError(
                    "the training loss is not finite",
                    f"{loss} at step {state.step + 1}, epoch {state.epoch + 1}, learning rate "
                    f"{trainer.learning_rate():.3g}; last good checkpoint: "
                    f"{hooks.keeper.before(state.step)}",
                    LOWER,
                )
            # One by one, so that the sums do not depend on the pieces.
            state.loss += float(loss)
            state.correct += int(top1)
            state.top5_correct += int(top5)
            state.steps_done += 1
            state.step += 1
        done = losses[state.steps_done - steps : state.steps_done]
        hooks.logs.steps(state.step, done, trainer.learning_rate())
        if hooks.stopped():
            save()
            raise PreemptedError(
                "the run was told to stop", f"step {state.step} is saved", "run it again to go on"
            )
        if hooks.keeper.due:
            save()
    return compiling


def _order(images: int, task: FineTuneTask, epoch: int) -> np.ndarray:
    """The batches of an epoch, int32 [steps, batch]; the images that fill none are left out."""
    order = np.random.default_rng((task.seed, epoch)).permutation(images).astype(np.int32)
    size = task.recipe.batch_size
    return order[: task.epoch_steps * size].reshape(-1, size)


def _validate(
    trainer: NetworkTrainer, weights: list[np.ndarray], validation: Validation, epoch: int
) -> Scores:
    with trainer.using(weights):
        logits = trainer.logits(validation.evaluator)
    try:
        return score(logits, validation.labels)
    except NonFiniteError as error:
        raise NonFiniteError(
            "the validation outputs are not finite", f"epoch {epoch}", LOOK
        ) from error


def _progress(task: FineTuneTask, stage: Stage, state: State) -> Step:
    """The progress of a stage, in images."""
    batch = task.recipe.batch_size
    done = (state.epoch - stage.epochs.start) * task.epoch_steps + state.steps_done
    images = len(task.labels)
    total = sum(steps_in_epoch(task.recipe, images, epoch) for epoch in stage.epochs)
    # The epoch that is under way, or else the one that has just ended.
    epoch = max(1, state.epoch + (state.steps_done > 0))
    notes = [f"epoch {epoch}/{task.recipe.epochs}"]
    if state.steps_done:
        notes.append(f"loss {state.loss / state.steps_done:.4f}")
        notes.append(f"acc {state.correct / (state.steps_done * batch):.2%}")
    if state.history:
        notes.append(f"val acc {state.history[-1].validation.accuracy:.2%}")
    return Step(
        f"train {_stage_name(task, stage)}",
        min(done, total) * batch,
        total * batch,
        "images",
        ", ".join(notes),
    )


def _stage_name(task: FineTuneTask, stage: Stage) -> str:
    return f"stage {stage.number}/{task.recipe.stages} at {stage.image_size} px"
