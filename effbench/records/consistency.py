"""Whether a finished run agrees with itself: spec, counts, history, selections, predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from effbench.config import schedule
from effbench.config.precisions import PRECISIONS
from effbench.config.recipes import RECIPES
from effbench.config.variants import RELEASES
from effbench.data.datasets import DATASETS, names_classes
from effbench.data.splits import label_dtype
from effbench.records.prediction_arrays import OF_A_RULE, prefixed
from effbench.records.record import RunResult, Turn
from effbench.records.scores import SELECTIONS, Scores, Selected

# The arrays of each split in `prediction_arrays.Predictions`.
ARRAYS = ("index", "label", "predicted", "rank", "probability")

_KNOWN = {
    "recipe": RECIPES,
    "weights": (*RELEASES, "none", "file"),
    "precision": tuple(PRECISIONS),
}


def shapes(classes: int) -> Mapping[str, tuple[tuple[int, ...], str]]:
    """Of each array of a split: its shape after the number of images, and its dtype."""
    label = np.dtype(label_dtype(classes)).name
    return {
        "index": ((), "int32"),
        "label": ((), label),
        "predicted": ((), label),
        "rank": ((), label),
        "probability": ((classes,), "float16"),
    }


def of_record(result: RunResult) -> Iterator[str]:
    """A line for everything in a record that contradicts the rest of it."""
    spec = result.spec
    names = (spec.recipe.name, spec.weights.name, spec.precision)
    for (what, known), name in zip(_KNOWN.items(), names, strict=True):
        if name not in known:
            yield f"{what}: expected one of {', '.join(known)}, found {name}"
    # The names of the classes of photos are known from their record alone.
    if not names_classes(spec.data) and not result.images.classes:
        known = ", ".join(DATASETS)
        yield f"data: expected one of {known}, found {spec.data} without the names of its classes"
    for what, expected, actual in _pairs(result):
        if expected != actual:
            yield f"{what}: expected {expected}, found {actual}"


def _pairs(result: RunResult) -> Iterator[tuple[str, object, object]]:
    """What is compared, the value it must have, and the value it has."""
    spec, images, history = result.spec, result.images, result.history
    recipe = spec.recipe
    for name, seconds in vars(result.seconds).items():
        yield f"seconds.{name}", max(seconds, 0.0), seconds
    yield "classes", len(result.classes), spec.classes
    for scores in (scores for row in result.selected for scores in row.splits.values()):
        # NaN is not equal to itself.
        yield "selected: a loss", max(scores.loss, 0.0), scores.loss
    few = spec.per_class and spec.per_class * spec.classes
    yield "images.train", spec.limit or few or images.train_available, images.train
    yield "turns", spec.folds, len(result.turns)
    yield from _turn_pairs(result, result.reported, "turns", result.turns)
    for chooser in result.selected if result.turns else ():
        if chooser.rule != recipe.selection:
            turns, where = result.other_turns.get(chooser.rule, ()), f"turns by {chooser.rule}"
            yield where, spec.folds, len(turns)
            yield from _turn_pairs(result, chooser, where, turns)
    yield from _l2_pairs(result)
    epochs = 0 if spec.folds else schedule.epochs(recipe, images.train)
    yield "history: epochs", epochs, len(history)
    history = history if epochs else ()  # where there are none, that line says all
    for number, row in enumerate(history, 1):
        yield f"history: epoch after {number - 1}", number, row.epoch
        trained = schedule.images_in_epoch(recipe, images.train, number - 1)
        yield f"history.{number}.train.total", trained, row.train.total
        yield f"history.{number}.validation.total", images.validation, row.validation.total
    rules = ", ".join(row.rule for row in result.selected)
    yield "selected", _rules(result), rules
    kept = result.predictions.epochs
    chosen = {row.prefix: row for row in reversed(result.selected)}
    epochs_chosen = sorted({row.epoch for row in result.selected})
    yield "predictions.epochs", tuple(epochs_chosen) if kept else (), kept
    for selected in result.selected:
        where = f"selected.{selected.rule}"
        yield f"{where}.test.total", images.test, selected.test.total if selected.test else 0
        if selected.test and (twin := chosen[selected.prefix].test):
            yield f"{where}.test.correct", twin.correct, selected.test.correct
            yield f"{where}.test.top5_correct", twin.top5_correct, selected.test.top5_correct
        if history and selected.rule in SELECTIONS:
            best = min(history, key=SELECTIONS[selected.rule])
            yield f"{where}.epoch", best.epoch, selected.epoch
            for name in ("correct", "top5_correct", "total"):
                one, other = getattr(best.validation, name), getattr(selected.validation, name)
                yield f"{where}.validation.{name}", one, other
            # Scored again beside other heads, whose sums may be added in another order.
            same = math.isclose(best.validation.loss, selected.validation.loss, rel_tol=1e-4)
            loss = best.validation.loss if same else selected.validation.loss
            yield f"{where}.validation.loss", best.validation.loss, loss


def _turn_pairs(
    result: RunResult, selected: Selected, where: str, turns: Sequence[Turn]
) -> Iterator[tuple[str, object, object]]:
    """The same for turns of a cross-validation, which have chosen by and tested each image once.

    Args:
        result: whose turns they are.
        selected: the scores by a rule that they come to.
        where: what a line calls them.
        turns: those of that rule.
    """
    images = result.images
    for split, scores in selected.splits.items() if turns else ():
        yield f"images.{split}", images.train, getattr(images, split)
        for name in ("correct", "top5_correct", "total"):
            counted = sum(getattr(getattr(turn, split), name) for turn in turns)
            yield f"{where}: {split}.{name}", getattr(scores, name), counted
    for number, turn in enumerate(turns, 1):
        total = sum(counts.total for counts in (turn.train, turn.validation, turn.test))
        yield f"{where}.{number}: images", images.train, total
        yield f"{where}.{number}.l2: given", not result.spec.recipe.epochs, turn.l2 is not None


def _l2_pairs(result: RunResult) -> Iterator[tuple[str, object, object]]:
    """The same for how L2 was chosen: there where there are no epochs, and only there."""
    search, recipe, images = result.l2_search, result.spec.recipe, result.images
    needed = not (recipe.epochs or result.spec.folds)
    yield "l2_search", "there" if needed else "none", "there" if search else "none"
    values = [value.l2 for value in result.l2_curve]
    yield "l2_curve: the strongest first", sorted(values, reverse=True), values
    if values:  # a record may be older than they are
        chosen_by_turns = {turn.l2 for turn in result.turns}
        yield "l2_curve: has what turns chose", chosen_by_turns, chosen_by_turns & {*values}
    if search is None:
        return
    whole = np.geomspace(recipe.l2_to, recipe.l2_from, recipe.l2_values)
    count = len(search.values)
    yield "l2_search: values", recipe.l2_values, count if not search.rising else recipe.l2_values
    ends = f"{whole[0]:g} to {whole[min(count, len(whole)) - 1]:g}"
    yield "l2_search: from", ends, f"{search.values[0].l2:g} to {search.values[-1].l2:g}"
    judging = images.validation + (images.train if search.folds else 0)
    for number, value in enumerate(search.values, 1):
        where = f"l2_search.{number}"
        yield f"{where}.train.total", images.train, value.train.total
        yield f"{where}.validation.total", judging, value.validation.total
        # NaN is not equal to itself.
        yield f"{where}.gradient_norm", max(value.gradient_norm, 0.0), value.gradient_norm
    grid = [value.l2 for value in search.values]
    yield "l2_search: the strongest first", sorted(grid, reverse=True), grid
    if not search.folds:
        for name in ("correct", "top5_correct", "total"):
            chosen = getattr(search.chosen.validation, name)
            yield f"l2_search.chosen.{name}", chosen, getattr(result.reported.validation, name)


def _rules(result: RunResult) -> str:
    """The rules whose scores a record must have: all, or the recipe's where nothing is chosen."""
    selection = result.spec.recipe.selection
    # Before other predictions were kept, whole networks and folds had those of the recipe's alone.
    older = len(result.selected) == 1 and (result.turns or not result.predictions.epochs)
    every = result.spec.recipe.way.every_rule and not older
    return ", ".join(SELECTIONS if every else [selection])


def of_predictions(result: RunResult, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """A line for everything in the predictions that contradicts the rest of them or the record."""
    reported = result.reported
    others = {
        row.prefix: row
        for row in result.selected
        if row.epoch in result.predictions.epochs and row.prefix != reported.prefix
    }
    problems = list(_of_rule(result, reported, arrays))
    # The rules share labels and more; what is wrong with these is said once.
    for prefix, row in others.items() if not problems else ():
        replaced = {
            f"{split}_{name}": arrays.get(prefixed(prefix, f"{split}_{name}"))
            for split in row.splits
            for name in OF_A_RULE
        }
        there = {name: array for name, array in replaced.items() if array is not None}
        shared = {name: array for name, array in arrays.items() if name not in replaced}
        lines = _of_rule(result, row, shared | there)
        where = f"epoch {row.epoch}" if row.epoch else row.rule
        problems += [f"{where}: {line}" for line in lines]
    yield from problems
    known = {*reported.splits, *others}
    more = {name.partition("_")[0] for name in arrays} - known
    if more:
        yield f"arrays of {', '.join(sorted(more))}, of which the record has no scores"


def _of_rule(
    result: RunResult, selected: Selected, arrays: Mapping[str, np.ndarray]
) -> Iterator[str]:
    """The same for one rule, whose arrays have the names that those of the recipe's have."""
    classes = result.spec.classes
    for split, scores in selected.splits.items():
        problems = list(_shapes(split, getattr(result.images, split), classes, arrays))
        if not problems:
            split_arrays = {name: arrays[f"{split}_{name}"] for name in ARRAYS}
            lines = (*_images(split_arrays, classes), *_counts(split_arrays["rank"], scores))
            problems = [f"{split}: {line}" for line in lines]
        yield from problems


def of_ranks(result: RunResult, ranks: Mapping[str, np.ndarray]) -> Iterator[str]:
    """A line for everything in the record that contradicts the ranks of its predictions."""
    for split, scores in result.reported.splits.items():
        for line in _counts(ranks[f"{split}_rank"], scores):
            yield f"{split}: {line}"
        yield from _groups(split, len(ranks[f"{split}_rank"]), ranks)


def _groups(split: str, images: int, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    group = arrays.get(f"{split}_group")
    if group is not None and (group.dtype.kind not in "iu" or group.shape != (images,)):
        expected = f"expected integers {(images,)}, found {group.dtype} {group.shape}"
        yield f"{split}_group: {expected}"


def _shapes(
    split: str, images: int, classes: int, arrays: Mapping[str, np.ndarray]
) -> Iterator[str]:
    names = arrays.get(f"{split}_name")
    if names is not None and (names.shape != (images,) or names.dtype.kind != "U"):
        yield f"{split}_name: expected {images} texts, found {names.dtype} {names.shape}"
    yield from _groups(split, images, arrays)
    for name, (shape, dtype) in shapes(classes).items():
        array = arrays.get(f"{split}_{name}")
        expected = f"{dtype} {(images, *shape)}"
        actual = "nothing" if array is None else f"{array.dtype} {array.shape}"
        if actual != expected:
            yield f"{split}_{name}: expected {expected}, found {actual}"


def _images(split_arrays: Mapping[str, np.ndarray], classes: int) -> Iterator[str]:
    """A line for every rule that does not hold for all images."""
    label, predicted, rank = split_arrays["label"], split_arrays["predicted"], split_arrays["rank"]
    probability = split_arrays["probability"].astype(np.float64)
    first = np.zeros(len(label), bool)
    first[np.unique(split_arrays["index"], return_index=True)[1]] = True

    def of(labels: np.ndarray) -> np.ndarray:
        # A number that is no class is looked up as the last class; it has a rule of its own.
        positions = np.minimum(labels, classes - 1).astype(np.int64)
        return np.take_along_axis(probability, positions[:, None], axis=1)

    # Rounding to float16 makes ties, but changes no order.
    higher = (probability > of(label)).sum(axis=1)
    others = (probability >= of(label)).sum(axis=1) - 1
    rules = {
        "index is not unique": first,
        f"label is not 0 to {classes - 1}": label < classes,
        f"predicted is not 0 to {classes - 1}": predicted < classes,
        "rank is not 0 exactly where predicted is label": (rank == 0) == (predicted == label),
        "rank does not follow from probability": (higher <= rank) & (rank <= others),
        "predicted is not the most probable": of(predicted)[:, 0] == probability.max(axis=1),
        "probability does not sum to 1": np.abs(probability.sum(axis=1) - 1) < 1e-3,
    }
    for rule, held in rules.items():
        if not held.all():
            count = len(held) - int(held.sum())
            yield f"{rule}: {count} of {len(held)} images, the first at {int(held.argmin())}"


def _counts(rank: np.ndarray, scores: Scores) -> Iterator[str]:
    masks = {"correct": rank == 0, "top5_correct": rank < 5, "total": rank >= 0}
    for name, mask in masks.items():
        counted = int(np.count_nonzero(mask))
        if counted != getattr(scores, name):
            yield f"{name}: {getattr(scores, name)} in the record, {counted} in the predictions"
