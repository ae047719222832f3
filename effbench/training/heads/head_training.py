"""The training of heads on a frozen backbone, by epochs: all seeds together.

The recipe `linear-probe` has no epochs: `logistic_regression` solves its head to the end.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from effbench.config.recipe_numbers import Recipe
from effbench.errors import NonFiniteError
from effbench.progress import Report, Step
from effbench.records.scores import SELECTIONS, Epoch, Scores
from effbench.training.evaluate import LOOK, score
from effbench.training.heads.head_step import Head, HeadTask, HeadTrainer


def train(
    task: HeadTask, recipe: Recipe, seeds: Sequence[int], threads: int, report: Report
) -> list[Head]:
    """Trains one head a seed; each comes out the same whichever others train beside it.

    Args:
        task: images and features.
        recipe: all numbers.
        seeds: one head each.
        threads: heads that train at the same time.
        report: told of every epoch.

    Returns:
        The heads, in the order of `seeds`; one that left the finite numbers has its `error` set.
    """
    with task.layout.scope():
        trainers = [HeadTrainer(task, recipe) for _ in range(min(threads, len(seeds)))]
    heads = [Head(seed, trainers[0].fresh(seed)) for seed in seeds]
    # The head with the fewest epochs goes next, so that all threads stay busy to the end.
    waiting: queue.PriorityQueue[tuple[int, int]] = queue.PriorityQueue()
    for index in range(len(heads)):
        waiting.put((0, index))
    total = recipe.epochs * len(heads)

    def work(trainer: HeadTrainer) -> None:
        with task.layout.scope():  # threads inherit none
            rounds(trainer)

    def rounds(trainer: HeadTrainer) -> None:
        while True:
            try:
                epoch, index = waiting.get_nowait()
            except queue.Empty:
                return  # each head that is not done is with another thread, which goes on with it
            head = heads[index]
            _one_epoch(trainer, task, recipe, head)
            done = sum(len(probe.history) for probe in heads)
            report(Step("train", done, total, "epochs", _note(head)))
            if head.error is None and epoch + 1 < recipe.epochs:
                waiting.put((epoch + 1, index))

    report(Step("train", 0, total, "epochs"))
    with ThreadPoolExecutor(len(trainers)) as pool:
        list(pool.map(work, trainers))
    return heads


def choose(history: Sequence[Epoch], rule: str) -> int:
    """The index in `history` that a rule of `scores.SELECTIONS` chooses; the first of equals."""
    return min(range(len(history)), key=lambda index: SELECTIONS[rule](history[index]))


def _one_epoch(trainer: HeadTrainer, task: HeadTask, recipe: Recipe, head: Head) -> None:
    losses, right = trainer.epoch(head)
    number = len(head.history) + 1
    if not np.isfinite(losses).all():
        step = int(np.flatnonzero(~np.isfinite(losses))[0])
        head.error = NonFiniteError(
            "the training loss is not finite",
            f"{losses[step]} at step {step + 1} of {len(losses)} in epoch {number}, seed "
            f"{head.seed}, learning rate up to {recipe.maximal_learning_rate:g}",
            LOOK,
        )
        return
    kernel, bias = head.state[:2]
    try:
        validation = score(
            task.evaluator.logits(kernel[None], bias[None])[0], task.validation_labels
        )
    except NonFiniteError:
        head.error = NonFiniteError(
            "the validation outputs are not finite", f"epoch {number}, seed {head.seed}", LOOK
        )
        return
    images = len(task.labels)
    # Every batch but the last has the same number of images; the mean is over images.
    sizes = np.minimum(recipe.batch_size, images - recipe.batch_size * np.arange(len(losses)))
    mean_loss = float((losses.astype(np.float64) * sizes).sum() / images)
    head.history.append(
        Epoch(
            number,
            trainer.learning_rate(),
            Scores(int(right[0]), int(right[1]), images, mean_loss),
            validation,
        )
    )
    head.weights.append((kernel, bias))


def _note(head: Head) -> str:
    if not head.history:
        return ""
    last = head.history[-1]
    return (
        f"seed {head.seed} epoch {last.epoch}: loss {last.train.loss:.4f}, "
        f"val loss {last.validation.loss:.4f}, val acc {last.validation.accuracy:.2%}"
    )
