"""What a worker does with a job: it connects the device, loads data, trains, scores and saves."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from effbench import provenance
from effbench.config.precisions import PRECISIONS
from effbench.config.recipes import resolved
from effbench.config.run_spec import RunSpec
from effbench.data import datasets, few_shot, folds
from effbench.data.splits import Dataset
from effbench.engines import engine_table
from effbench.engines.engine import Engine
from effbench.engines.engine_table import AUTO
from effbench.errors import (
    DataError,
    DeviceError,
    NonFiniteError,
    PreemptedError,
    WeightsError,
)
from effbench.hardware import devices
from effbench.hardware.devices import Device
from effbench.hardware.distribution import Layout
from effbench.leases import SECONDS
from effbench.progress import Report, Step, silent
from effbench.records.prediction_arrays import prefixed
from effbench.records.record import SCHEMA, Images, Provenance, RunResult
from effbench.records.store import Store
from effbench.training import evaluate, methods
from effbench.training.interface import Finished, Setting
from effbench.training.job import Job, Message, Problem
from effbench.training.phases import Phases


def run(job: Job, send: Callable[[Message], None], stopped: Callable[[], bool]) -> None:
    """Trains, scores and saves every run of `job`.

    Args:
        job: runs that differ by their seed only.
        send: told of every step, of each run that was saved, and of each that failed while others
            went on.
        stopped: says whether the process is to end; asked where what is done can be saved.

    Raises:
        EffbenchError: the runs that are not saved yet cannot be finished.
    """

    def report(step: Step) -> None:
        send(Message(step))

    started = datetime.now(UTC).isoformat(timespec="seconds")
    phases = Phases(job.sent)
    phases.end("imports")
    spec = job.specs[0]
    if spec.weights.random != (job.weights_file is None):
        raise WeightsError(
            f"a run with {spec.weights.name} weights", f"file: {job.weights_file}", "report a bug"
        )
    device, engine, refused = connected(job, report)
    _agree(device.layout, job)
    phases.end("startup")
    report(Step("build"))
    whole = datasets.load(spec.data, job.data_dir, report, skip_unreadable=job.skip_unreadable)
    _unchanged(spec, whole)
    recipe = spec.recipe
    dataset = few_shot.fewer(whole, spec.limit, spec.per_class).sized(
        spec.image_size, recipe.photo_geometry, report, job.execution.cache_gb
    )
    phases.end("data")
    outcome = methods.of(recipe).train(
        Setting(
            *(job, dataset, device, phases, report, stopped, engine),
            choosing=job.engine == AUTO,
            refused=refused,
        )
    )
    device = outcome.device or device
    made = Provenance(
        started=started,
        weights_file=job.weights_file.name if job.weights_file else "",
        weights_sha256=job.weights_sha256,
        weights_verified=outcome.verified,
        device=device.kind,
        device_name=device.name,
        replicas=device.replicas,
        features_computed=outcome.features_computed,
        features_cached=outcome.features_cached,
        seeds_together=len(job.specs),
        peak_memory=provenance.peak_memory(),
        versions=provenance.versions(),
        commit=provenance.commit(),
        micro_batch=outcome.micro_batch,
        resumed=outcome.resumed,
        engine=outcome.engine.name,
        engine_version=outcome.engine.version,
        engine_difference=outcome.engine_difference,
        engine_refused=outcome.engine_refused,
    )
    # In a cross-validation, each image trains, chooses and tests.
    scored = folds.pooled(dataset) if spec.folds else dataset
    images = Images(
        train=len(scored.train.labels),
        validation=len(scored.validation.labels),
        test=len(scored.test.labels) if scored.test else 0,
        train_available=len((scored if spec.folds else whole).train.labels),
        classes=() if datasets.names_classes(spec.data) else dataset.classes,
        skipped=len(whole.skipped),
        leaked=whole.twins if spec.folds else whole.leaked,
        made=whole.made,
        split_sha256=whole.split_sha256,
    )
    store = Store(job.results)
    phases.end("other")
    written = []
    for run_spec, result in outcome.runs:
        _still_ours(job)
        if isinstance(result, NonFiniteError):
            send(Message(key=run_spec.key, problem=Problem(result.kind, str(result))))
            continue
        epochs = {row.epoch for row in result.selected}
        saved = store.save_predictions(run_spec.key, _per_image(run_spec, scored, result), epochs)
        if result.weights:
            store.save_model(run_spec.key, result.weights)
        curve = result.l2_search.values if result.l2_search else result.history or result.turns
        store.save_history(run_spec.key, curve)
        written.append((run_spec, result, saved))
    phases.end("write")
    # Of one process, all records have the same seconds.
    seconds = phases.seconds()
    for run_spec, result, saved in written:
        _still_ours(job)
        store.save(
            RunResult(
                SCHEMA,
                run_spec,
                images,
                result.selected,
                result.history,
                saved,
                seconds,
                made,
                resolved(run_spec.recipe.name, run_spec.variant),
                result.l2_search,
                result.turns,
                dict(result.other_turns),
                result.l2_curve,
            ),
            first=not job.execution.force,
        )
        shutil.rmtree(store.checkpoints(run_spec.key), ignore_errors=True)
        send(Message(key=run_spec.key, saved=True))


def _still_ours(job: Job) -> None:
    """Makes sure that nobody has taken the runs over, as a machine that was silent for long.

    Raises:
        PreemptedError: somebody has.
    """
    if job.claim is not None and not job.claim.holds():
        raise PreemptedError(
            "a worker that was silent for too long writes nothing",
            "another one has taken its runs over",
            f"raise {SECONDS} if this happens often",
        )


def connected(job: Job, report: Report = silent) -> tuple[Device, Engine, str]:
    """The device of a job, ready, what runs programs on it, and whose place that took."""
    spec = job.specs[0]
    frozen = spec.recipe.way.frozen_backbone
    row, engine, refused = engine_table.started(
        *(job.engine, job.device, PRECISIONS[spec.precision], frozen and spec.feature_cache),
        job.replicas,
        report,
    )
    if row.drives:
        device = devices.driven(job.device, engine.device, engine.count)
    else:
        device = devices.connect(job.device, job.replicas, job.tpu_name, beside=frozen)
    return device, engine, refused


def _unchanged(spec: RunSpec, dataset: Dataset) -> None:
    """Makes sure that the data are those that the sweep looked at.

    Raises:
        DataError: they are others.
    """
    if dataset.sha256 != spec.data_sha256:
        raise DataError(
            f"{spec.data} is no longer what the sweep began with",
            f"sha256 {dataset.sha256[:12]}, not {spec.data_sha256[:12]}",
            "run it again",
        )


def _agree(layout: Layout, job: Job) -> None:
    """Makes sure that all hosts do the same runs.

    Otherwise they would wait for one another, or worse, add up numbers of different runs.

    Raises:
        DeviceError: they do different runs.
    """
    keys = ", ".join(spec.key for spec in job.specs)
    keys_hash = np.frombuffer(hashlib.sha256(keys.encode()).digest()[:4], np.int32)
    if (layout.told(keys_hash) != keys_hash).any():
        hint = "give every host the same command, and --results with the same records"
        raise DeviceError("all hosts must do the same runs", f"here {keys}", hint)


def _per_image(spec: RunSpec, dataset: Dataset, result: Finished) -> dict[str, np.ndarray]:
    """The arrays of `prediction_arrays.Predictions`."""
    arrays: dict[str, np.ndarray] = {}
    for name, split in dataset.held_out.items():
        arrays[f"{name}_index"] = split.index.astype(np.int32)
        if split.names:
            arrays[f"{name}_name"] = np.array(split.names)
        if split.groups is not None:
            arrays[f"{name}_group"] = split.groups
    plain = next(row.prefix for row in result.selected if row.rule == spec.recipe.selection)
    for prefix, logits in result.logits.items():
        for (name, split), values in zip(dataset.held_out.items(), logits, strict=True):
            of_split = evaluate.per_image(name, values, split.labels)
            arrays |= {
                name if prefix == plain else prefixed(prefix, name): array
                for name, array in of_split.items()
            }
    return arrays
