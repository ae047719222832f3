"""Cross-validation: a head for every fold, and what all of them say of all images as one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from effbench.config.run_spec import RunSpec
from effbench.data import folds
from effbench.data.splits import Array, Dataset
from effbench.errors import NonFiniteError
from effbench.progress import Report, Step
from effbench.records.l2_search import together
from effbench.records.record import Turn
from effbench.records.scores import Selected
from effbench.training.interface import Finished, Logits, selected

# What a head, or several beside each other, come to; from the features of each split, float32
# [n, width], the images that they are of, and who is told of the work.
Fit = Callable[[Sequence[Array], Dataset, Report], list[Finished | NonFiniteError]]


def fitted(
    spec: RunSpec, parts: Sequence[Array], dataset: Dataset, fit: Fit, report: Report
) -> list[Finished | NonFiniteError]:
    """What heads come to: on the splits of the data or, if a run asks for folds, on these.

    Args:
        spec: the run.
        parts: the features of each split, float32 [n, width].
        dataset: the images that they are of.
        fit: trains and scores heads.
        report: told of every step.
    """
    if not spec.folds:
        return fit(parts, dataset, report)
    features, pool = np.concatenate(parts), folds.pooled(dataset)
    tested, heads = [], []
    for number, (positions, images) in enumerate(folds.turns(pool, spec.folds)):
        told = _of_turn(report, number, spec.folds)
        heads.append(fit([features[chosen] for chosen in positions], images, told))
        tested.append(positions[1:])
    return [_joined(spec, pool, tested, turns) for turns in zip(*heads, strict=True)]


def _of_turn(report: Report, number: int, count: int) -> Report:
    """Tells `report` of the work of one turn as of a part of all."""

    def told(step: Step) -> None:
        if step.total:
            note = f"fold {number + 1} of {count}, {step.note}".removesuffix(", ")
            done = step.done + number * step.total
            step = replace(step, done=done, total=count * step.total, note=note)
        report(step)

    return told


def _joined(
    spec: RunSpec,
    pool: Dataset,
    tested: Sequence[Sequence[Array]],
    turns: Sequence[Finished | NonFiniteError],
) -> Finished | NonFiniteError:
    """One run of all turns, whose logits of an image are those of the turn that it tested in.

    It is joined by every rule that the turns are scored by.

    Args:
        spec: the run.
        pool: all images.
        tested: of each turn, the positions of the images that chose, and of those that tested.
        turns: what came of each.
    """
    finished = []
    for turn in turns:
        if isinstance(turn, NonFiniteError):
            return turn
        finished.append(turn)
    rows, logits, kept = [], {}, {}
    for rule in (row.rule for row in finished[0].selected):
        chosen = [next(row for row in turn.selected if row.rule == rule) for turn in finished]
        joined = _pooled(pool, tested, finished, chosen)
        rows.append(selected(rule, 0, joined, pool))
        logits[rows[-1].prefix] = joined
        kept[rule] = tuple(map(_turn, finished, chosen))
    of_recipe = kept.pop(spec.recipe.selection)
    searches = [turn.l2_search for turn in finished if turn.l2_search]
    curve = together(searches)
    return Finished(tuple(rows), (), logits, [], None, of_recipe, kept, curve)


def _pooled(
    pool: Dataset,
    tested: Sequence[Sequence[Array]],
    turns: Sequence[Finished],
    chosen: Sequence[Selected],
) -> Logits:
    """The logits of all images; `chosen` says of each turn which of its logits count."""
    images, classes = len(pool.train.labels), len(pool.classes)
    logits = tuple(np.empty((images, classes), np.float32) for _ in ("validation", "test"))
    for positions, turn, row in zip(tested, turns, chosen, strict=True):
        for values, where, part in zip(logits, positions, turn.logits[row.prefix], strict=True):
            values[where] = part
    return logits


def _turn(turn: Finished, chosen: Selected) -> Turn:
    assert chosen.test is not None
    search = turn.l2_search
    if search:
        best = search.chosen
        return Turn(0, best.l2, best.train, chosen.validation, chosen.test, search.unsolved)
    trained = next(row.train for row in turn.history if row.epoch == chosen.epoch)
    return Turn(chosen.epoch, None, trained, chosen.validation, chosen.test)
