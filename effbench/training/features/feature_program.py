"""The program that computes features, of all runs whose backbone is frozen."""

from __future__ import annotations

import math
from collections.abc import Callable

from effbench.config.run_spec import RunSpec
from effbench.data.outline import Outline
from effbench.hardware.devices import Device
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models.backbone import Forward
from effbench.training.features import feature_cache, inputs
from effbench.training.replica_program import Program


def program(
    spec: RunSpec,
    data: Outline,
    model: keras.Model,
    batch: int | None,
    device: Device,
    name: str = "features",
    forward: Callable[[RunSpec, keras.Model, Device, int], Forward] = inputs.forward,
) -> Program:
    """Features of all images, once.

    Args:
        spec: the run.
        data: how much there is of what.
        model: its backbone.
        batch: images that a replica takes at once; None for what the run takes.
        device: the device.
        name: what is computed.
        forward: what a replica does with its part of a batch.
    """
    images = sum(data.counts)
    replicas = device.layout.replicas
    usual = feature_cache.batch_size(spec.image_size, device.kind, replicas)
    return Program(
        name,
        forward(spec, model, device, batch or usual),
        (tf.TensorSpec((batch or usual, *data.pixels(spec.image_size)), tf.uint8),),
        batch or usual,
        # The run itself goes chunk by chunk, always with the usual batch.
        math.ceil(images / (batch * replicas)) if batch else _calls(images, usual * replicas),
    )


def _calls(images: int, batch: int) -> int:
    """Calls for all images of the dataset; a chunk's last one is padded."""
    chunks, rest = divmod(images, feature_cache.CHUNK)
    return chunks * math.ceil(feature_cache.CHUNK / batch) + math.ceil(rest / batch)
