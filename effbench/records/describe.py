"""What a run was and how it came about, as names and texts for a reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields

from effbench.config.network_stages import ALL
from effbench.config.recipe_numbers import Recipe
from effbench.config.run_spec import RunSpec
from effbench.data import datasets
from effbench.data.splits import SPLIT_SEED
from effbench.failures import handling
from effbench.records import caveats
from effbench.records.caveats import details
from effbench.records.l2_search import L2Search
from effbench.records.record import RunFailure, RunResult

Facts = Iterator[tuple[str, str]]

# The epochs that the rules of `scores.SELECTIONS` choose.
RULES = {
    "val_loss": "the epoch of the lowest validation loss",
    "val_accuracy": "the epoch of the best validation accuracy",
    "final": "the last epoch",
}


def no_test(rules: Iterable[str], chosen: Iterable[str] = ("epoch",)) -> str:
    """What a reader must know of figures of data without test images.

    Args:
        rules: names in `scores.SELECTIONS`, those that chose the epochs of the runs.
        chosen: what they chose, see `ways_to_train.WayToTrain`.
    """
    looked = any(rule != "final" for rule in rules)
    what = f", which also chose the {' or the '.join(dict.fromkeys(chosen))}" if looked else ""
    return f"the figures are of the validation images{what}"


def of_made(made: Sequence[str]) -> str:
    """Which splits are effbench's own, and how it made them; "" for none."""
    if not made:
        return ""
    *others, last = made
    names = f"{', '.join(others)} and {last} splits were" if others else f"{last} split was"
    return f"the {names} made by effbench: stratified, seed {SPLIT_SEED}"


def cross_validation(folds: int) -> str:
    """What a run of so many folds is called."""
    return f"{folds}-fold cross-validation"


def by_folds(folds: int) -> str:
    """What chose an L2 where the validation images of a class are too few to choose it."""
    return (
        f"stratified {folds}-fold cross-validation on training and validation images, as a class "
        "has fewer than 5 validation images"
    )


def of_search(search: L2Search) -> str:
    """Which L2 was chosen, by what, and how well the regression was solved for it."""
    chosen = search.chosen
    judges = f"by {by_folds(search.folds)}" if search.folds else "by the validation images"
    end = "" if chosen.converged else ", not converged"
    count = len(search.values)
    return (
        f"{chosen.l2:.3g}, from {count} value{'s' * (count != 1)}, chosen {judges}; gradient norm "
        f"{chosen.gradient_norm:.1e} after {chosen.iterations} "
        f"iteration{'s' * (chosen.iterations != 1)}{end}"
    )


def choices(result: RunResult) -> Mapping[float, str]:
    """Which L2 were chosen, and by how many folds of a cross-validation, in words."""
    if result.l2_search:
        return {result.l2_search.chosen.l2: "yes"}
    counts = Counter(turn.l2 for turn in result.turns if turn.l2 is not None)
    return {l2: f"by {count} fold{'s' * (count != 1)}" for l2, count in counts.items()}


def of_spec(spec: RunSpec) -> Facts:
    """What was asked of a run."""
    recipe = spec.recipe
    limit = f", {spec.fewer}" if spec.fewer else ""
    steps = "" if recipe.steps is None else f", {recipe.steps:,} steps at most"
    yield "run", spec.key
    yield "marks", details(caveats.of_spec(spec)) or "none"
    seed = f", seed {spec.seed}" if recipe.way.seeded else ""
    yield "variant", f"{spec.variant} at {spec.image_size}, {spec.precision}{seed}"
    yield "weights", f"{spec.weights.name} {spec.weights.digest}".strip()
    folds = f", {cross_validation(spec.folds)}" if spec.folds else ""
    yield "data", f"{spec.data}{limit}{folds}, sha256 {spec.data_sha256}"
    if recipe.epochs:
        yield (
            "recipe",
            f"{recipe.name}, {_epochs(recipe.epochs)} of batches of {recipe.batch_size}{steps}, "
            f"dropout {recipe.dropout:g}, {recipe.optimizer} "
            f"(weight decay {recipe.weight_decay:g})",
        )
        yield "learning rate", _learning_rate(recipe)
    else:
        yield "recipe", f"{recipe.name}, {recipe.way.trained}, {_l2(recipe)}"
    yield "preprocessing", spec.preprocessing
    if datasets.of_photos(spec.data):
        yield "photos", f"{recipe.geometry}, {recipe.filter}; {spec.classes:,} classes"
    if recipe.class_weights != "none":
        yield "class weights", recipe.class_weights
    if recipe.way.frozen_backbone:
        yield "backbone", "cached features" if spec.feature_cache else "in every step"
    else:
        yield "regularization", _regularization(recipe)
        if recipe.unfreeze != ALL:
            yield "trained", _unfrozen(recipe)
    if recipe.stages > 1:
        yield "stages", _stages(recipe)


def _learning_rate(recipe: Recipe) -> str:
    shape = {
        "triangular2": f"half a cycle {_epochs(recipe.half_cycle_epochs)}",
        "constant": f"constant after a warm-up of {_epochs(recipe.warmup_epochs)}",
        "cosine": f"falling to 0 by a cosine after a warm-up of {_epochs(recipe.warmup_epochs)}",
    }
    scaled = recipe.learning_rate_batch
    return (
        f"{recipe.initial_learning_rate:g} to {recipe.maximal_learning_rate:g}"
        + (f" x batch / {scaled}" if scaled else "")
        + f", {shape.get(recipe.schedule, recipe.schedule)}, from step {recipe.start_step}"
        + (f", times {recipe.layer_decay:g} from part to part" if recipe.layer_decay < 1 else "")
    )


def _l2(recipe: Recipe) -> str:
    features = "standardized features" if recipe.standardize else "the features as they are"
    if recipe.l2_values == 1:
        return f"L2 {recipe.l2_from:g} on {features}"
    span = f"from {recipe.l2_from:g} to {recipe.l2_to:g}"
    return f"{recipe.l2_values} values of L2 {span} on {features}"


def _epochs(number: float) -> str:
    return f"{number:g} epoch{'s' * (number != 1)}"


def _regularization(recipe: Recipe) -> str:
    """The numbers that are not at their default, by their names in the recipe."""
    names = ("label_smoothing", "survival", "ema_decay", "flip", "crop", "cutout")
    default = {field.name: field.default for field in fields(Recipe)}
    values = {
        name: getattr(recipe, name)
        for name in (*names, "crop_scale", "randaugment", "mixup", "cutmix")
    }
    changed = [f"{name} {value}" for name, value in values.items() if value != default[name]]
    return ", ".join(changed) or "none"


def _unfrozen(recipe: Recipe) -> str:
    """What trains, and how the rest takes part."""
    once = "computed once and kept (in every step where several hosts train)"
    how = once if recipe.keeps_maps else "run in every step, on other pixels"
    return f"from {recipe.unfreeze} on; the stages before it are frozen, {how}"


def _stages(recipe: Recipe) -> str:
    return (
        f"{recipe.stages}, the first at {recipe.first_size:.2f} of the size, dropout "
        f"{recipe.first_dropout:g}, randaugment {recipe.first_randaugment:g}, mixup "
        f"{recipe.first_mixup:g}"
    )


def of_failure(failure: RunFailure) -> Facts:
    """Why a run failed."""
    yield "marks", details(failure.marks) or "none"
    yield "failed", failure.started
    yield "kind", failure.kind
    yield "message", failure.message
    yield "what next", handling(failure.kind).told


def of_result(result: RunResult) -> Facts:
    """What came of a run, and how; the marks stand first, as the run may have added to them."""
    yield "marks", details(result.marks) or "none"
    made, images, reported = result.provenance, result.images, result.reported
    recipe = result.spec.recipe
    split = result.splits[-1]
    of_each = " of each fold" if result.turns else ""
    chosen = f"the {recipe.way.chooses} selected by {reported.rule}{of_each}"
    yield "reported", f"{reported.judged.accuracy:.2%} on {split}, {chosen}"
    if result.l2_search:
        yield "L2", of_search(result.l2_search)
    if not images.test:
        yield "no test split", no_test([reported.rule], [recipe.way.chooses])
    test = f"{images.test:,} test" if images.test else "no test"
    files = f"{images.skipped:,} file{'s' * (images.skipped != 1)}"
    skipped = f"; {files} could not be read" if images.skipped else ""
    if result.turns:
        accuracies = [turn.test.accuracy for turn in result.turns]
        yield "folds", f"{min(accuracies):.2%} to {max(accuracies):.2%} on each"
        yield "images", f"{images.test:,}, each of which tests once{skipped}"
    else:
        yield (
            "images",
            f"{images.train:,} of {images.train_available:,} training, "
            f"{images.validation:,} validation, {test}{skipped}",
        )
    if (images.made or images.split_sha256) and not result.turns:
        origin = of_made(images.made) or "the data have them themselves"
        digest = f"; sha256 {images.split_sha256}" if images.split_sha256 else ""
        yield "splits", f"{origin}{digest}"
    file = f"{made.weights_file}, sha256 {made.weights_sha256}; " if made.weights_file else ""
    yield "verified", f"{file}{made.weights_verified}"
    replicas = f", {made.replicas} replicas" if made.replicas > 1 else ""
    yield "device", f"{made.device}: {made.device_name}{replicas}"
    if made.engine:
        near = made.engine_difference
        apart = "" if near is None else f"; features {near:.1g} from TensorFlow's, relative"
        refused = f"; instead of {made.engine_refused}" if made.engine_refused else ""
        yield "engine", f"{made.engine}, {made.engine_version}{apart}{refused}"
    yield "started", made.started
    # Records from before there were more of them have the first five.
    phases = {
        field.name: getattr(result.seconds, field.name)
        for field in fields(result.seconds)
        if field.default is MISSING or getattr(result.seconds, field.name)
    }
    listed = ", ".join(f"{name} {value:,.1f}" for name, value in phases.items())
    beside = f" for {made.seeds_together} seeds" if made.seeds_together > 1 else ""
    yield "seconds", f"{sum(phases.values()):,.1f}{beside}: {listed}"
    if recipe.way.frozen_backbone:
        yield "features", f"{made.features_computed:,} computed, {made.features_cached:,} cached"
    else:
        times = f"{made.resumed} time{'s' * (made.resumed != 1)}"
        again = f", resumed {times}" if made.resumed else ""
        yield "training", f"{made.micro_batch:,} images at once{again}"
        if made.features_computed or made.features_cached:
            counts = f"{made.features_computed:,} computed, {made.features_cached:,} cached"
            yield "frozen stages", counts
    yield "peak memory", f"{made.peak_memory / 1e9:.2f} GB"
    yield "versions", ", ".join(f"{name} {text}" for name, text in made.versions.items())
    yield "commit", made.commit or "unknown"
    kept = result.predictions
    epochs = f", of epoch {', '.join(map(str, kept.epochs))}" if any(kept.epochs) else ""
    yield "predictions", f"{kept.file}{epochs}, sha256 {kept.sha256}"
