"""A job becomes results: device, data, backbone, features, heads, scores, records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from effbench import data, devices, evaluate, lookups, models, probe, provenance, weights
from effbench.backend import keras, tf
from effbench.dataset import Dataset
from effbench.errors import DeviceError, NonFiniteError, WeightsError
from effbench.evaluate import Evaluator
from effbench.jobs import Job, Message, Problem
from effbench.layout import Layout
from effbench.progress import Step
from effbench.runs import (
    SCHEMA,
    SELECTIONS,
    Images,
    Provenance,
    RunResult,
    Seconds,
    Selected,
)
from effbench.store import Store
from effbench.variants import VARIANTS


def run(job: Job, send: Callable[[Message], None]) -> None:
    """Trains, scores and saves every run of `job`.

    Args:
        job: runs that differ by their seed only.
        send: told of every step, of each run that was saved, and of each that failed alone.

    Raises:
        EffbenchError: what is not saved yet cannot be finished.
    """

    def report(step: Step) -> None:
        send(Message(step))

    started = datetime.now(UTC).isoformat(timespec="seconds")
    watch = provenance.Stopwatch(job.sent)
    spec = job.specs[0]
    variant = VARIANTS[spec.variant]
    device = devices.connect(job.device, job.replicas, job.tpu_name)
    layout = device.layout
    _agree(layout, job)
    startup = watch.lap()

    report(Step("build"))
    whole = data.load(spec.data, job.data_dir)
    dataset = whole.limited(spec.limit)
    with tf.device(layout.placement):
        model = models.build(variant, spec.image_size, spec.precision)
        verified = _load(model, job, dataset)
        model = layout.mirror(model)
    with layout.scope():
        build = watch.lap()

        source = lookups.cached if spec.feature_cache else lookups.direct
        looked, known = source(job, dataset, model, device, report)
        extraction = watch.lap()

        train, validation, test = dataset.splits
        evaluators = (
            Evaluator(looked[1], len(validation.labels), layout),
            Evaluator(looked[2], len(test.labels), layout),
        )
        task = probe.Task(
            looked[0],
            train.labels,
            evaluators[0],
            validation.labels,
            variant.width,
            layout,
        )
        # Without cached features each head runs the backbone, which takes all cores by itself.
        threads = device.threads if spec.feature_cache else 1
        heads = probe.train(task, spec.recipe, [each.seed for each in job.specs], threads, report)
        training = watch.lap()

        report(Step("evaluate"))
        outcomes = [_select(head, dataset, evaluators) for head in heads]
    seconds = Seconds(startup, build, extraction, training, watch.lap())

    images = Images(
        len(train.labels), len(validation.labels), len(test.labels), len(whole.train.labels)
    )
    total = images.train + images.validation + images.test
    made = Provenance(
        started=started,
        weights_file=job.weights_file.name if job.weights_file else "",
        weights_sha256=job.weights_sha256,
        weights_verified=verified,
        device=device.kind,
        device_name=device.name,
        replicas=device.replicas,
        features_computed=total - known if spec.feature_cache else 0,
        features_cached=known,
        seeds_together=len(heads),
        peak_memory=provenance.peak_memory(),
        versions=provenance.versions(),
        commit=provenance.commit(),
    )
    store = Store(job.results)
    for each, head, outcome in zip(job.specs, heads, outcomes, strict=True):
        if isinstance(outcome, NonFiniteError):
            send(Message(key=each.key, problem=Problem(outcome.kind, str(outcome))))
            continue
        selected, logits = outcome
        saved = store.save_predictions(each.key, _per_image(dataset, logits[each.recipe.selection]))
        history = tuple(head.history)
        store.save(RunResult(SCHEMA, each, images, selected, history, saved, seconds, made))
        send(Message(key=each.key, saved=True))


def _agree(layout: Layout, job: Job) -> None:
    """Hosts that do different runs would wait for one another, or worse, add up what differs.

    Raises:
        DeviceError: they do.
    """
    keys = ", ".join(spec.key for spec in job.specs)
    own = np.frombuffer(hashlib.sha256(keys.encode()).digest()[:4], np.int32)
    if (layout.told(own) != own).any():
        hint = "give every host the same command, and --results with the same records"
        raise DeviceError("all hosts must do the same runs", f"here {keys}", hint)


# For the BatchNorm statistics of random weights: 8 images at 224, more where they are smaller.
CALIBRATION_PIXELS = 8 * 224 * 224


def _load(model: keras.Model, job: Job, dataset: Dataset) -> str:
    """Loads the job's weights; says how they were verified."""
    spec = job.specs[0]
    if spec.weights.random != (job.weights_file is None):
        raise WeightsError(
            f"a run with {spec.weights.name} weights", f"file: {job.weights_file}", "report a bug"
        )
    if job.weights_file is None:
        images = dataset.train.images[: max(8, CALIBRATION_PIXELS // spec.image_size**2)]
        models.calibrate(model, spec.image_size, spec.preprocessing, images)
        return f"random weights, BatchNorm statistics of {len(images)} training images"
    compared = weights.load(model, job.weights_file)
    origin = "md5 of the release" if spec.weights.released else "a file named by hand"
    return f"{origin}; {compared} tensors equal to the file's"


# Scores of the epochs that the rules choose, and their (validation, test) logits by rule.
Outcome = tuple[tuple[Selected, ...], dict[str, tuple[np.ndarray, np.ndarray]]]


def _select(
    head: probe.Head, dataset: Dataset, evaluators: tuple[Evaluator, Evaluator]
) -> Outcome | NonFiniteError:
    """What a head comes to, or why it came to nothing."""
    if head.error is not None:
        return head.error
    places = [probe.choose(head.history, rule) for rule in SELECTIONS]
    kernels = np.stack([head.weights[place][0] for place in places])
    biases = np.stack([head.weights[place][1] for place in places])
    validation, test = (each.logits(kernels, biases) for each in evaluators)
    try:
        selected = tuple(
            Selected(
                rule,
                head.history[place].epoch,
                evaluate.score(val_logits, dataset.validation.labels),
                evaluate.score(test_logits, dataset.test.labels),
            )
            for rule, place, val_logits, test_logits in zip(
                SELECTIONS, places, validation, test, strict=True
            )
        )
    except NonFiniteError as error:
        return error
    return selected, dict(zip(SELECTIONS, zip(validation, test, strict=True), strict=True))


def _per_image(dataset: Dataset, logits: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of `runs.Predictions`."""
    arrays: dict[str, np.ndarray] = {}
    named = (("validation", dataset.validation), ("test", dataset.test))
    for (name, split), values in zip(named, logits, strict=True):
        arrays[f"{name}_index"] = split.index.astype(np.int32)
        arrays |= evaluate.per_image(name, values, split.labels)
    return arrays
