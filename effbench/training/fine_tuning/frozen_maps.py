"""What the frozen stages of a network make of each image, computed once and read in every step.

The maps are kept as they are computed, float32 or bfloat16, so that a training on them differs from
one that runs the frozen stages in every step by the rounding of other batches alone.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from effbench import cache
from effbench.config import network_stages
from effbench.config.precisions import PRECISIONS
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.pixels.pixel_room import gigabytes
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.errors import DiskError
from effbench.files import writing
from effbench.hardware.devices import Device
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone
from effbench.models.preprocessing import prepare
from effbench.progress import Report, Step
from effbench.training import evaluate
from effbench.training.evaluate import Evaluator
from effbench.training.features import extraction, feature_cache, inputs
from effbench.training.features.joined import Joined
from effbench.training.interface import Setting
from effbench.training.phases import Warming

# What NumPy keeps the numbers of each Keras policy as: of bfloat16, which it has not, the bits.
_KEPT = {"float32": np.float32, "mixed_bfloat16": np.uint16}


class MapRows:
    """Maps in the chunks of a cache, indexed as an array is, of which a part is read at a time.

    Attributes:
        shape: (n, height, width, channels).
        dtype: float32, or uint16 for the bits of bfloat16.
    """

    def __init__(self, chunks: Sequence[np.ndarray], first: int, last: int) -> None:
        """Those from number `first` to the one before `last`, of all in `chunks`."""
        self._chunks = chunks
        self._numbers = np.arange(first, last)
        self.shape = (last - first, *self._chunks[0].shape[1:])
        self.dtype = self._chunks[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        numbers = self._numbers[chosen]
        rows = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for row, number in zip(rows, numbers, strict=True):
            row[...] = self._chunks[number // feature_cache.CHUNK][number % feature_cache.CHUNK]
        return rows


@dataclass(frozen=True)
class FrozenMaps:
    """The maps of each split, and of how many images they were computed, or in the cache."""

    splits: tuple[MapRows, ...]
    computed: int
    cached: int


def of(setting: Setting, frozen: keras.Model) -> FrozenMaps:
    """The maps of all images of a run, from the cache where it has them.

    Raises:
        DiskError: there is no room for them.
    """
    dataset, device, report = setting.dataset, setting.device, setting.report
    spec = setting.job.specs[0]
    images = Joined([split.pixels for split in dataset.splits])
    layout = device.layout
    batch = feature_cache.batch_size(spec.image_size, device.kind, layout.replicas)
    about = extraction.feature_set(setting, images, setting.engine, spec.seed, spec.recipe.unfreeze)
    _make_room(spec, len(images), cache.features() / about.key, report)
    run = partial(layout.map, forward(spec, frozen, device, batch))
    program = Warming(setting.engine.compile(run))
    chunks, cached = [], 0
    for chunk in feature_cache.chunked(
        program, batch * layout.replicas, images, cache.features(), about, report
    ):
        # Mapped: all of them may not fit into memory.
        chunks.append(np.load(chunk.path, mmap_mode="r", allow_pickle=False))
        cached += len(chunk.rows) * chunk.cached
    setting.phases.end("features")
    setting.phases.part("compile", "features", program.compile_seconds)
    ends = np.cumsum([0, *(len(split.labels) for split in dataset.splits)])
    splits = tuple(MapRows(chunks, first, last) for first, last in pairwise(ends))
    return FrozenMaps(splits, len(images) - cached, cached)


def map_shape(spec: RunSpec) -> tuple[int, int, int]:
    """Height, width and channels of the map of an image."""
    return network_stages.input_shape(VARIANTS[spec.variant], spec.recipe.unfreeze, spec.image_size)


def map_dtype(spec: RunSpec) -> np.dtype:
    """What its numbers are kept as."""
    return np.dtype(_KEPT[PRECISIONS[spec.precision].policy])


def forward(spec: RunSpec, frozen: keras.Model, device: Device, batch: int) -> backbone.Forward:
    """From uint8 [batch, h, w, 3] to maps as they are kept."""

    def tower(images: tf.Tensor) -> tf.Tensor:
        prepared = prepare(images, spec.image_size, spec.preprocessing, device.kind)
        maps = frozen(prepared, training=False)
        return tf.bitcast(maps, tf.uint16) if maps.dtype == tf.bfloat16 else maps

    return inputs.compiled(backbone.in_towers(tower, batch, device.threads), device)


def decoded(kept: tf.Tensor) -> tf.Tensor:
    """Maps as the rest of the network takes them, of what is kept."""
    return tf.bitcast(kept, tf.bfloat16) if kept.dtype == tf.uint16 else kept


def features(trained: keras.Model, device: Device) -> backbone.Forward:
    """From maps as they are kept to features, by the rest of the network as it is at the time."""

    def tower(kept: tf.Tensor) -> tf.Tensor:
        return backbone.pooled(trained(decoded(kept), training=False))

    batch = evaluate.batch(device.layout)
    return inputs.compiled(backbone.in_towers(tower, batch, device.threads), device)


def evaluator(
    maps: MapRows, trained: keras.Model, device: Device, engine: Engine = TENSORFLOW
) -> Evaluator:
    """Evaluates a network, as it is at the time, on the maps of its frozen part."""
    return Evaluator(features(trained, device), len(maps), device.layout, maps, engine)


def _make_room(spec: RunSpec, images: int, home: Path, report: Report) -> None:
    """Says how much room the maps take, and makes sure that it is there.

    Raises:
        DiskError: they would take more than half of the free disk.
    """
    size = images * math.prod(map_shape(spec)) * map_dtype(spec).itemsize
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in home.glob("*.npy"))
    limit = (shutil.disk_usage(home).free + there) / 2
    what = f"{gigabytes(size)} for the input of {spec.recipe.unfreeze}, of {images:,} images"
    if size > max(limit, there):
        raise DiskError(
            "the maps of the frozen stages do not fit into the cache",
            f"{what}, where {gigabytes(limit)} are allowed (half of the free disk)",
            "free some space, name a folder on another disk with EFFBENCH_CACHE, or take a smaller "
            "--image-size or a later stage",
        )
    report(Step(f"frozen stages: {what}, in the cache", lasting=True))
