"""What gives a step its features: arrays on the device, or the backbone on the images there."""

from __future__ import annotations

import numpy as np

from effbench.config.run_spec import RunSpec
from effbench.data.splits import Dataset, Rows, Split
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.hardware.devices import Device
from effbench.hardware.distribution import Layout
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone as backbones
from effbench.training import evaluate
from effbench.training.evaluate import Evaluator, Lookup
from effbench.training.job import Job


def forward(
    spec: RunSpec,
    model: keras.Model,
    device: Device,
    batch: int,
    engine: Engine = TENSORFLOW,
) -> backbones.Forward:
    """What one replica does with its part of a batch."""
    return of_network(model, spec.image_size, spec.preprocessing, device, batch, engine)


def of_network(
    model: keras.Model,
    image_size: int,
    preprocessing: str,
    device: Device,
    batch: int,
    engine: Engine,
) -> backbones.Forward:
    """The same of a network that belongs to no run."""
    # A graph that holds the network twice takes twice as long to compile.
    towers = 1 if engine.all_cores else device.threads
    run = backbones.forward(model, image_size, preprocessing, batch, towers, device.kind)
    return compiled(run, device)


def compiled(run: backbones.Forward, device: Device) -> backbones.Forward:
    """A part of a network as it runs fastest."""
    # A TPU's strategy compiles what it runs; on a CPU, XLA is 4 to 8 times slower.
    return tf.function(run, jit_compile=True, autograph=False) if device.kind == "gpu" else run


def direct(job: Job, dataset: Dataset, model: keras.Model, device: Device) -> list[Lookup]:
    """Runs the backbone on the images of every batch, as the case study did; all are held."""
    spec, layout = job.specs[0], device.layout
    train, *held_out = (split.pixels[:] for split in dataset.splits)
    batch = spec.recipe.batch_size // layout.replicas
    return [
        gathered(train, layout, forward(spec, model, device, batch)),
        *(backbone(images, spec, model, device) for images in held_out),
    ]


def backbone(images: np.ndarray, spec: RunSpec, model: keras.Model, device: Device) -> Lookup:
    """Runs the backbone, as it is at the time, on images that an `Evaluator` asks for."""
    layout = device.layout
    return gathered(images, layout, forward(spec, model, device, evaluate.batch(layout)))


def evaluator(
    split: Split,
    spec: RunSpec,
    model: keras.Model,
    device: Device,
    engine: Engine = TENSORFLOW,
) -> Evaluator:
    """Evaluates the network, as it is at the time, on images in memory or in a file."""
    layout, images = device.layout, split.pixels
    if isinstance(images, Rows):
        run = forward(spec, model, device, evaluate.batch(layout), engine)
        return Evaluator(run, len(images), layout, images, engine)
    lookup = backbone(images, spec, model, device)
    return Evaluator(lookup, len(images), layout, engine=engine)


def gathered(values: np.ndarray, layout: Layout, then: backbones.Forward = tf.identity) -> Lookup:
    """The rows of `values` at some positions, passed through `then`."""
    # Flat, because a TPU pads the last dimension to 128: images of 3 channels would take 43 times
    # the memory.
    held = layout.hold(values.reshape(len(values), -1))

    def lookup(positions: tf.Tensor) -> tf.Tensor:
        chosen = tf.gather(held, positions)
        return then(tf.reshape(chosen, (positions.shape[0], *values.shape[1:])))

    return lookup
