"""A job becomes results: device, data, backbone, features, heads, scores, records."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from effbench import (
    cache,
    cluster,
    data,
    devices,
    evaluate,
    features,
    models,
    probe,
    provenance,
    weights,
)
from effbench.backend import keras, tf
from effbench.dataset import Dataset
from effbench.devices import Device
from effbench.errors import NonFiniteError, WeightsError
from effbench.evaluate import Evaluator, Lookup
from effbench.jobs import Job, Message, Problem
from effbench.layout import Layout
from effbench.progress import Report, Step
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

        source = _cached if spec.feature_cache else _direct
        lookups, cached = source(job, dataset, model, device, report)
        extraction = watch.lap()

        train, validation, test = dataset.splits
        evaluators = (
            Evaluator(lookups[1], len(validation.labels), layout),
            Evaluator(lookups[2], len(test.labels), layout),
        )
        task = probe.Task(
            lookups[0],
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
        features_computed=total - cached if spec.feature_cache else 0,
        features_cached=cached,
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


def _cached(
    job: Job, dataset: Dataset, model: keras.Model, device: Device, report: Report
) -> tuple[list[Lookup], int]:
    """Looks features up that are computed once; also says how many were in the cache."""
    spec = job.specs[0]
    images = np.concatenate([split.images for split in dataset.splits])
    layout = device.layout
    batch = features.batch_size(spec.image_size, device.kind, layout.replicas)
    run = models.forward(model, spec.image_size, spec.preprocessing, batch, device.threads)
    about = features.FeatureSet(
        variant=spec.variant,
        weights=job.weights_sha256 or f"random, seed {models.RANDOM_WEIGHTS_SEED}",
        image_size=spec.image_size,
        preprocessing=spec.preprocessing,
        precision=spec.precision,
        device=device.kind,
        software=f"{tf.__version__}, {provenance.version('keras-efficientnet-v2')}",
        images_sha256=hashlib.sha256(images).hexdigest(),
    )
    with _kept() as folder:
        found = features.extract(
            partial(layout.map, run), batch * layout.replicas, images, folder, about, report
        )
    ends = np.cumsum([len(split.labels) for split in dataset.splits])
    return [_rows(part, layout) for part in np.split(found.values, ends[:-1])], found.cached


@contextlib.contextmanager
def _kept() -> Iterator[Path]:
    """Where features are kept: in the cache, but not for longer than the run on several hosts.

    They compute every batch together, so one that finds it in its own cache would be waited for.
    """
    if cluster.read().hosts == 1:
        yield cache.features()
        return
    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        yield Path(folder)


def _direct(
    job: Job, dataset: Dataset, model: keras.Model, device: Device, _: Report
) -> tuple[list[Lookup], int]:
    """Runs the backbone on the images of every batch, the case study's own way."""
    spec = job.specs[0]

    def forward(batch: int) -> models.Forward:
        return models.forward(model, spec.image_size, spec.preprocessing, batch, device.threads)

    layout = device.layout
    training = spec.recipe.batch_size // layout.replicas
    batches = (training, evaluate.batch(layout), evaluate.batch(layout))
    return [
        _rows(split.images, layout, forward(batch))
        for split, batch in zip(dataset.splits, batches, strict=True)
    ], 0


def _rows(values: np.ndarray, layout: Layout, then: models.Forward = tf.identity) -> Lookup:
    """The rows of `values` at some positions, passed through `then`."""
    # Flat, because a TPU pads the last dimension to 128: images of 3 channels would take 43 times
    # the memory.
    held = layout.hold(values.reshape(len(values), -1))

    def lookup(positions: tf.Tensor) -> tf.Tensor:
        rows = tf.gather(held, positions)
        return then(tf.reshape(rows, (positions.shape[0], *values.shape[1:])))

    return lookup


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
