"""What a run was and how it came about, as names and texts for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from effbench.runs import RunFailure, RunResult, RunSpec

Facts = Iterator[tuple[str, str]]


def of_spec(spec: RunSpec) -> Facts:
    """What was asked for."""
    recipe = spec.recipe
    limit = "" if spec.limit is None else f", {spec.limit:,} images"
    yield "run", spec.key
    yield "marks", spec.details or "none"
    yield "variant", f"{spec.variant} at {spec.image_size}, {spec.precision}, seed {spec.seed}"
    yield "weights", f"{spec.weights.name} {spec.weights.digest}".strip()
    yield "data", f"{spec.data}{limit}, sha256 {spec.data_sha256}"
    yield (
        "recipe",
        f"{recipe.name}, {recipe.epochs} epochs of batches of {recipe.batch_size}, "
        f"dropout {recipe.dropout:g}, {recipe.optimizer} (weight decay {recipe.weight_decay:g})",
    )
    yield (
        "learning rate",
        f"{recipe.initial_learning_rate:g} to {recipe.maximal_learning_rate:g}, "
        f"half a cycle {recipe.half_cycle_epochs} epochs, from step {recipe.start_step}",
    )
    yield "preprocessing", spec.preprocessing
    yield "backbone", "cached features" if spec.feature_cache else "in every step"


def of_failure(failure: RunFailure) -> Facts:
    """Why nothing came of it."""
    yield "failed", failure.started
    yield "kind", failure.kind
    yield "message", failure.message


def of_result(result: RunResult) -> Facts:
    """What came of it, and how."""
    made, images, reported = result.provenance, result.images, result.reported
    yield "reported", f"{reported.test.accuracy:.2%} on test, the epoch selected by {reported.rule}"
    yield (
        "images",
        f"{images.train:,} of {images.train_available:,} training, "
        f"{images.validation:,} validation, {images.test:,} test",
    )
    file = f"{made.weights_file}, sha256 {made.weights_sha256}; " if made.weights_file else ""
    yield "verified", f"{file}{made.weights_verified}"
    replicas = f", {made.replicas} replicas" if made.replicas > 1 else ""
    yield "device", f"{made.device}: {made.device_name}{replicas}"
    yield "started", made.started
    phases = asdict(result.seconds)
    listed = ", ".join(f"{name} {value:,.1f}" for name, value in phases.items())
    beside = f" for {made.seeds_together} seeds" if made.seeds_together > 1 else ""
    yield "seconds", f"{sum(phases.values()):,.1f}{beside}: {listed}"
    yield "features", f"{made.features_computed:,} computed, {made.features_cached:,} cached"
    yield "peak memory", f"{made.peak_memory / 1e9:.2f} GB"
    yield "versions", ", ".join(f"{name} {text}" for name, text in made.versions.items())
    yield "commit", made.commit or "unknown"
    yield "predictions", f"{result.predictions.file}, sha256 {result.predictions.sha256}"
