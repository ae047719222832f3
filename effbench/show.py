"""Everything about one run, for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from rich.table import Table
from rich.text import Text

from effbench.errors import EffbenchError, UsageError
from effbench.runs import Record, RunFailure, RunResult, RunSpec, Scores
from effbench.store import LOG, Store

# Of a failed worker's output.
TAIL = 20
# Keys that an error lists.
LISTED = 10


def find(store: Store, part: str) -> Record:
    """The record whose key holds `part`.

    Raises:
        UsageError: there is none, or more than one.
        EffbenchError: there are no records, or this one cannot be read.
    """
    keys = [folder.name for folder in store.folders()]
    if not keys:
        raise EffbenchError("no runs to show", str(store.directory), "run 'effbench sweep' first")
    matches = [part] if part in keys else [key for key in keys if part in key]
    if not matches:
        closest = ", ".join(get_close_matches(part, keys, cutoff=0))
        raise UsageError("no key of a run holds this", part, f"the closest: {closest}")
    if len(matches) > 1:
        more = f" and {len(matches) - LISTED} more" if len(matches) > LISTED else ""
        listed = f"{', '.join(matches[:LISTED])}{more}"
        raise UsageError(f"{len(matches)} runs have this in their key", part, listed)
    folder = store.folder(matches[0])
    try:
        record = store.read(folder.name)
    except ValueError as error:
        raise EffbenchError("cannot read the record", f"{folder}: {error}", _REPAIR) from error
    if record is None:
        raise EffbenchError("no record in the run's folder", str(folder), _REPAIR)
    return record


_REPAIR = "run it again, or delete the folder"


def render(record: Record, folder: Path) -> Iterator[Text | Table]:
    """The lines and tables that say what a run was and what came of it."""
    facts = dict(_spec(record.spec))
    if isinstance(record, RunFailure):
        yield _facts(
            facts | {"failed": record.started, "kind": record.kind, "message": record.message}
        )
        yield from _tail(folder / LOG)
        return
    yield _facts(facts | dict(_made(record, folder)))
    yield _scores(record)
    yield _history(record)


def _facts(facts: dict[str, str]) -> Text:
    width = max(map(len, facts)) + 2
    return Text("\n").join(
        Text.assemble((name.ljust(width), "bold"), text) for name, text in facts.items()
    )


def _spec(spec: RunSpec) -> Iterator[tuple[str, str]]:
    recipe = spec.recipe
    limit = "" if spec.limit is None else f", {spec.limit:,} images"
    marks = ", ".join(f"{mark} ({text})" if text else mark for mark, text in spec.marks.items())
    yield "run", spec.key
    yield "marks", marks or "none"
    yield "variant", f"{spec.variant} at {spec.image_size}, {spec.precision}, seed {spec.seed}"
    yield "weights", f"{spec.weights.name} {spec.weights.digest}".strip()
    yield "data", f"{spec.data}{limit}, sha256 {spec.data_sha256}"
    yield (
        "recipe",
        ", ".join(
            (
                recipe.name,
                f"{recipe.epochs} epochs of batches of {recipe.batch_size}",
                f"dropout {recipe.dropout:g}",
                f"{recipe.optimizer} (weight decay {recipe.weight_decay:g})",
            )
        ),
    )
    yield (
        "learning rate",
        ", ".join(
            (
                f"{recipe.initial_learning_rate:g} to {recipe.maximal_learning_rate:g}",
                f"half a cycle {recipe.half_cycle_epochs} epochs",
                f"from step {recipe.start_step}",
            )
        ),
    )
    yield "preprocessing", spec.preprocessing
    yield "backbone", "cached features" if spec.feature_cache else "in every step"


def _made(result: RunResult, folder: Path) -> Iterator[tuple[str, str]]:
    made, images, reported = result.provenance, result.images, result.reported
    yield "reported", f"{reported.test.accuracy:.2%} on test, the epoch selected by {reported.rule}"
    yield (
        "images",
        (
            f"{images.train:,} of {images.train_available:,} training, "
            f"{images.validation:,} validation, {images.test:,} test"
        ),
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
    yield "predictions", str(folder / result.predictions.file)


def _table(*titles: str, caption: str) -> Table:
    table = Table(
        title=f"\n{caption}",
        title_style="bold",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for place, title in enumerate(titles):
        table.add_column(title, justify="right" if place else "left", no_wrap=True)
    return table


def _scores(result: RunResult) -> Table:
    titles = ("images", "top-1", "correct", "top-5", "correct", "loss")
    table = _table("selected by", "epoch", "split", *titles, caption="Scores")
    for row in result.selected:
        table.add_row(row.rule, str(row.epoch), "validation", *_columns(row.validation))
        table.add_row("", "", "test", *_columns(row.test))
    return table


def _columns(scores: Scores) -> Iterator[str]:
    yield f"{scores.total:,}"
    for rate, count in (
        (scores.accuracy, scores.correct),
        (scores.top5_accuracy, scores.top5_correct),
    ):
        yield f"{rate:.2%}"
        yield f"{count:,}"
    yield f"{scores.loss:.4f}"


def _history(result: RunResult) -> Table:
    table = _table(
        "epoch",
        "learning rate",
        "loss",
        "top-1",
        "val loss",
        "val top-1",
        "val top-5",
        caption="History",
    )
    for row in result.history:
        table.add_row(
            str(row.epoch),
            f"{row.learning_rate:.3g}",
            f"{row.train.loss:.4f}",
            f"{row.train.accuracy:.2%}",
            f"{row.validation.loss:.4f}",
            f"{row.validation.accuracy:.2%}",
            f"{row.validation.top5_accuracy:.2%}",
        )
    return table


def _tail(log: Path) -> Iterator[Text]:
    """The end of what the failed worker printed, if that was kept."""
    if log.is_file():
        lines = log.read_text("utf-8", "replace").splitlines()
        yield Text(f"\nthe last of {len(lines)} lines of {log}", style="bold")
        yield Text("\n".join(lines[-TAIL:]))
