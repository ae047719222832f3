"""A release with its top, scored on ImageNet: each image once, exact counts."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from effbench import provenance
from effbench.config.variants import VARIANTS
from effbench.cpu import cores
from effbench.data.pixels.decoding import UnreadableImageError, decode
from effbench.data.pixels.decoding_tasks import content
from effbench.errors import DataError
from effbench.hardware import devices
from effbench.hardware.devices import Device
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.imagenet import diagnosis, protocols, synsets
from effbench.imagenet.imagenet_records import SCHEMA, ImagenetRecord, ScoringSpec, packed
from effbench.imagenet.squares import SQUARES, Square
from effbench.imagenet.validation_sets import Content, ValidationSet
from effbench.models import backbone, weights
from effbench.models.preprocessing import PREPROCESSING
from effbench.models.weights import File
from effbench.progress import Report, Step
from effbench.records.record import Provenance
from effbench.training import evaluate
from effbench.training.features.feature_cache import batch_size

Classify = Callable[[tf.Tensor], tf.Tensor]
# Images that give a random network the statistics of its BatchNorm.
CALIBRATING = 16


@dataclass(frozen=True)
class Scoring:
    """One release to score.

    Attributes:
        spec: what is scored.
        images: the images that `spec` names.
        file: the file of weights; None for random ones.
    """

    spec: ScoringSpec
    images: ValidationSet
    file: File | None


def connect(kind: str) -> Device:
    """The device, once in a process; several GPUs are used as one."""
    return devices.connect(kind, beside=False)


def score(scoring: Scoring, device: Device, report: Report) -> ImagenetRecord:
    """Scores a release.

    Args:
        scoring: what to score.
        device: what `connect` returned.
        report: told of the progress, in images.

    Raises:
        DataError: an image cannot be read.
        WeightsError: the weights are not those of such a network.
        NonFiniteError: a logit is NaN or infinite.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    begun = time.time()
    spec, images = scoring.spec, scoring.images
    square = partial(_square, SQUARES[spec.protocol], spec.image_size)
    positions = images.limited(spec.limit)
    report(Step("build", note=spec.variant))
    keras.backend.clear_session()
    model = backbone.classifier(
        VARIANTS[spec.variant], spec.image_size, spec.precision, synsets.COUNT
    )
    if scoring.file is not None:
        verified = weights.verified(model, scoring.file.path, spec.weights)
    else:
        verified = "random"
        few = list(_squares(images, positions[:CALIBRATING], square))
        calibrating = np.clip(np.round(few), 0, 255).astype(np.uint8)
        backbone.calibrate(model, spec.image_size, spec.weights.rescale, calibrating)
    classify = _program(model, spec, device)
    logits = np.concatenate(
        list(_logits(classify, images, positions, square, spec, device, report))
    )
    labels = images.labels[positions]
    answers = np.array(images.classes)
    known = logits[:, answers], np.searchsorted(answers, labels)
    scores = evaluate.score(*known)
    doubt = ""
    if not spec.weights.random:
        # Of all classes: labels that are shifted may be of classes that a set has not.
        beside = {
            "next": np.roll(images.labels, -1)[positions],
            "previous": np.roll(images.labels, 1)[positions],
        }
        predicted = logits.argmax(axis=1)
        doubt = diagnosis.cause(scores.correct, predicted, labels, answers.tolist(), beside)
    published = spec.weights.name in protocols.scored(spec.variant)
    return ImagenetRecord(
        schema=SCHEMA,
        spec=spec,
        own_protocol=published
        and protocols.of(spec.variant, spec.weights.name).name == spec.protocol,
        whole=images.whole,
        scores=scores,
        doubt=doubt,
        seconds=round(time.time() - begun, 3),
        provenance=Provenance(
            started=started,
            weights_file=scoring.file.path.name if scoring.file else "",
            weights_sha256=scoring.file.sha256 if scoring.file else "",
            weights_verified=verified,
            device=device.kind,
            device_name=device.name,
            replicas=1,
            features_computed=len(positions),
            features_cached=0,
            seeds_together=1,
            peak_memory=provenance.peak_memory(),
            versions=provenance.versions(),
            commit=provenance.commit(),
            engine="tensorflow",
            engine_version=tf.__version__,
        ),
        hits=packed(evaluate.ranked(*known) == 0),
    )


def _program(model: keras.Model, spec: ScoringSpec, device: Device) -> Classify:
    mean, std = PREPROCESSING[spec.weights.rescale]

    @tf.function(autograph=False, jit_compile=device.kind != "cpu")
    def classify(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(model((images - mean) / std, training=False), tf.float32)

    return classify


def _logits(
    classify: Classify,
    images: ValidationSet,
    positions: Sequence[int],
    square: Callable[[str, Content], np.ndarray],
    spec: ScoringSpec,
    device: Device,
    report: Report,
) -> Iterator[np.ndarray]:
    """Logits of a batch after the other; the last one is filled up, so that shapes are static."""
    size = batch_size(spec.image_size, device.kind)
    batch = np.zeros((size, spec.image_size, spec.image_size, 3), np.float32)
    for done, pixels in enumerate(_squares(images, positions, square), 1):
        filled = (done - 1) % size + 1
        batch[filled - 1] = pixels
        if filled == size or done == len(positions):
            yield classify(tf.constant(batch)).numpy()[:filled]
            report(Step("score", done, len(positions), "images", spec.variant))


def _squares(
    images: ValidationSet, positions: Sequence[int], square: Callable[[str, Content], np.ndarray]
) -> Iterator[np.ndarray]:
    """Squares float32 [size, size, 3] in their order, of which only a few are in memory."""
    waiting: deque[Future[np.ndarray]] = deque()
    named = zip(
        (images.names[index] for index in positions), images.contents(positions), strict=True
    )
    # As in `predict`: decoders turn warnings off and on again, all threads at once.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(cores()) as threads:
        for name, image in named:
            waiting.append(threads.submit(square, name, image))
            if len(waiting) > 4 * cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _square(square: Square, size: int, name: str, image: Content) -> np.ndarray:
    try:
        encoded = content(str(image)) if isinstance(image, Path) else image
        # As the published code: it did not know of EXIF.
        picture = decode(encoded, upright=False).image
    except UnreadableImageError as error:
        raise DataError(f"cannot read {name}", str(error), "get the image again") from error
    with tf.device("/CPU:0"):
        return square(picture, size)
