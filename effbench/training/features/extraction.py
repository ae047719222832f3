"""The features of a run's images, computed once by its engine and kept."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from effbench import cache, provenance
from effbench.config.precisions import PRECISIONS
from effbench.config.run_spec import RunSpec
from effbench.data.splits import Rows
from effbench.engines import engine_table, proof
from effbench.engines.engine import TENSORFLOW, Engine, Program
from effbench.errors import DeviceError, DeviceLostError, NonFiniteError
from effbench.hardware import devices
from effbench.hardware.devices import Device
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone as backbones
from effbench.progress import Step
from effbench.training.features import feature_cache, frozen_backbone, inputs, measured_batch
from effbench.training.features.joined import Joined
from effbench.training.interface import Finished, Outcome, Setting
from effbench.training.phases import Warming


@dataclass(frozen=True)
class FeatureParts:
    """The features of a job's images.

    Attributes:
        parts: those of each split, float32 [n, width].
        cached: how many were in the cache.
        engine: what computed them.
        difference: as in `record.Provenance.engine_difference`.
        refused: as in `record.Provenance.engine_refused`.
        device: what computed them; None where steps do.
    """

    parts: list[np.ndarray]
    cached: int
    engine: Engine
    difference: float | None = None
    refused: str = ""
    device: Device | None = None

    def outcome(
        self, runs: Sequence[tuple[RunSpec, Finished | NonFiniteError]], verified: str
    ) -> Outcome:
        """What training on them comes to.

        Args:
            runs: as in `interface.Outcome`.
            verified: likewise.
        """
        return Outcome(
            runs,
            verified,
            features_computed=sum(map(len, self.parts)) - self.cached,
            features_cached=self.cached,
            engine=self.engine,
            engine_difference=self.difference,
            engine_refused=self.refused,
            device=self.device,
        )


def features(setting: Setting, model: keras.Model) -> FeatureParts:
    """The features of all images of a job, computed by its engine or read from the cache.

    Raises:
        DeviceError: the engine's are not those of TensorFlow, and no other may take its place.
        DiskError: they cannot be kept.
    """
    spec, engine = setting.job.specs[0], setting.engine
    images = Joined([split.pixels for split in setting.dataset.splits])
    same_graph = not engine.float32_graph or spec.precision == "float32"
    refused = setting.refused
    with _kept(setting.device) as folder:
        # On the CPU TensorFlow can do the same, and does where it has begun or it is quicker.
        if setting.choosing and engine.float32_graph and same_graph:
            sets = _sets(setting, feature_set(setting, images, TENSORFLOW), folder)
            left = sum(len(part) for about, part in sets if not feature_cache.begun(folder, about))
            if feature_cache.few_pixels(left, spec.image_size):
                engine, refused = TENSORFLOW, ""
        try:
            extracted, difference = _extracted(setting, model, images, engine, folder)
        except DeviceLostError:
            raise
        except DeviceError as error:
            if not setting.choosing or engine is TENSORFLOW:
                raise
            differs = engine_table.refusal(engine.name, error)
            refused = engine_table.joined(refused, differs)
            setting.report(Step(f"TensorFlow instead of {differs}", lasting=True))
            if engine.device:  # it drove what TensorFlow does not see
                setting = replace(setting, device=devices.cpu())
            engine = TENSORFLOW
            if not same_graph:
                model, _ = frozen_backbone.load(setting.job, setting.dataset, setting.device.layout)
            extracted, difference = _extracted(setting, model, images, engine, folder)
    setting.phases.end("features")
    ends = np.cumsum([len(split.labels) for split in setting.dataset.splits])
    parts = np.split(extracted.values, ends[:-1])
    return FeatureParts(parts, extracted.cached, engine, difference, refused, setting.device)


def feature_set(
    setting: Setting,
    images: Joined,
    engine: Engine,
    random_seed: int = backbones.RANDOM_WEIGHTS_SEED,
    before: str = "",
) -> feature_cache.FeatureSet:
    """What names the features of a job.

    Args:
        setting: of the job.
        images: all of them.
        engine: what computes the features.
        random_seed: what random weights come from.
        before: as in `FeatureSet`.
    """
    job, spec = setting.job, setting.job.specs[0]
    return feature_cache.FeatureSet(
        variant=spec.variant,
        weights=job.weights_sha256 or f"random, seed {random_seed}",
        image_size=spec.image_size,
        preprocessing=spec.preprocessing,
        precision=spec.precision,
        device=setting.device.kind,
        software=f"{tf.__version__}, {provenance.version('keras-efficientnet-v2')}",
        images_sha256=images.sha256,
        version=feature_cache.VERSION,
        engine=_engine_key(engine, setting.device),
        before=before,
    )


def _sets(
    setting: Setting, whole: feature_cache.FeatureSet, folder: Path
) -> list[tuple[feature_cache.FeatureSet, np.ndarray | Rows | Joined]]:
    """What names the sets that features are kept in, and their images: a set for each split.

    So a split that several runs have, as the test images of few-shot runs, is computed once. Before
    there were sets of splits, all images were one: where it was begun, it is used to its end.

    Args:
        setting: of the job.
        whole: names the set of all images.
        folder: the folder of all sets.
    """
    parts = [split.pixels for split in setting.dataset.splits]
    if feature_cache.begun(folder, whole):
        return [(whole, Joined(parts))]
    weights = whole.weights
    if not setting.job.weights_sha256:
        few = frozen_backbone.calibrating(setting.job.specs[0], setting.dataset)
        weights += f", statistics of {Joined([few]).sha256}"
    return [
        (replace(whole, weights=weights, images_sha256=Joined([part]).sha256), part)
        for part in parts
    ]


def _engine_key(engine: Engine, device: Device) -> str:
    """What `FeatureSet.engine` is for an engine on a device."""
    # Features of GPUs from before there were engines are of images that were resized otherwise.
    if engine is TENSORFLOW and device.kind != "gpu":
        return ""
    return f"{engine.name} {engine.version}"


def _extracted(
    setting: Setting, model: keras.Model, images: Joined, engine: Engine, folder: Path
) -> tuple[feature_cache.Features, float | None]:
    """The features of all images, and how far the engine's are from TensorFlow's."""
    spec, device = setting.job.specs[0], setting.device
    replicas = device.layout.replicas
    about = feature_set(setting, images, engine)

    # The batch that was timed and taken is not compiled once more.
    @functools.cache
    def compiled_for(batch: int) -> Program:
        run = inputs.forward(spec, model, device, batch // replicas, engine)
        return engine.compile(functools.partial(device.layout.map, run))

    batch, about = _batch(setting, about, compiled_for, images)
    sets = _sets(setting, about, folder)
    program = Warming(compiled_for(batch))
    difference = None
    if engine is not TENSORFLOW:
        some = images[: proof.IMAGES]
        reference = TENSORFLOW.compile(
            backbones.forward(model, spec.image_size, spec.preprocessing, len(some), device.threads)
        )

        def compared() -> float:
            setting.report(Step(f"compare {engine.name} with TensorFlow"))
            rows = feature_cache.rows(program, some, batch)
            return proof.difference(rows, reference(some)[0])

        setting.phases.end("features")
        difference = feature_cache.proved(folder, sets[0][0], compared)
        setting.phases.end("compile")
        proof.check(engine.name, difference, PRECISIONS[spec.precision].tolerance)
    before = program.compile_seconds
    extracted = feature_cache.extract(program, batch, sets, folder, setting.report)
    setting.phases.end("features")
    if not before:  # else the comparison has compiled it
        setting.phases.part("compile", "features", program.compile_seconds)
    return extracted, difference


def _batch(
    setting: Setting,
    about: feature_cache.FeatureSet,
    compiled_for: Callable[[int], Program],
    images: Joined,
) -> tuple[int, feature_cache.FeatureSet]:
    """Images of a call, of all replicas; and what names the features then."""
    device, replicas = setting.device, setting.device.replicas
    usual = feature_cache.batch_size(about.image_size, device.kind, replicas)
    # Hosts would have to agree.
    if device.kind not in measured_batch.DEVICES or device.hosts > 1:
        return usual * replicas, about
    setting.phases.end("features")
    sizes = measured_batch.sizes(usual, replicas)
    network = (about.variant, str(about.image_size), about.preprocessing, about.precision)
    names = (device.name, setting.engine.version, about.software, *network)
    some = images[: max(sizes)]
    batch = measured_batch.fastest(sizes, names, compiled_for, some, setting.report)
    setting.phases.end("compile")
    return batch, about if batch == usual * replicas else replace(about, batch=batch)


@contextlib.contextmanager
def _kept(device: Device) -> Iterator[Path]:
    """Where features are kept: in the cache or, on several hosts, in a folder for this run alone.

    Hosts compute every batch together: one that had it in its cache would keep the others waiting.
    """
    if device.hosts == 1:
        yield cache.features()
        return
    with tempfile.TemporaryDirectory(prefix="effbench-") as folder:
        yield Path(folder)
