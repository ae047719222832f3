"""The programs of a run that trains a whole network: a step of each stage, and evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from effbench.config import schedule
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.outline import Outline
from effbench.hardware.devices import Device
from effbench.hardware.distribution import Layout
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone, parts
from effbench.records.scores import SELECTIONS
from effbench.training import evaluate, feeding
from effbench.training.evaluate import Evaluator, Lookup
from effbench.training.features import feature_program, inputs
from effbench.training.fine_tuning import fine_tune_step, frozen_maps
from effbench.training.replica_program import Program, evaluation, images_of, size_of


def programs(spec: RunSpec, data: Outline, batch: int | None, device: Device) -> list[Program]:
    """Lists the programs, as `methods.Method` says.

    With `batch`, a step takes that many images on each replica, and the run has more of them in
    proportion, as if each were a micro-batch with an optimizer's step of its own.
    """
    layout, whole = device.layout, spec.recipe.batch_size
    batch_size = batch * layout.replicas if batch else whole
    recipe = replace(spec.recipe, batch_size=batch_size)
    model, noise = backbone.trainable(
        *(VARIANTS[spec.variant], spec.precision, recipe.survival, device.kind),
        recipe.batch_norm,
    )
    frozen, rest = parts.cut(model, recipe.unfreeze)
    maps = frozen is not None and recipe.keeps_maps
    if maps:
        shapes = [(count, *frozen_maps.map_shape(spec)) for count in data.counts]
        run = frozen_maps.features(rest, device)
        images = _fed(shapes, run, layout, frozen_maps.map_dtype(spec))
    else:
        shapes = [(count, *data.pixels(spec.image_size)) for count in data.counts]
        run = inputs.forward(spec, model, device, evaluate.batch(layout))
        images = (_held if data.side else _fed)(shapes, run, layout)
    count, validation, *test = data.counts
    task = fine_tune_step.FineTuneTask(
        images=images.train,
        labels=np.arange(count) % spec.classes,
        recipe=recipe,
        preprocessing=spec.preprocessing,
        seed=spec.seed,
        micro_batch=batch_size,
        device=device.kind,
        layout=layout,
        classes=spec.classes,
        maps=maps,
    )
    trainer = fine_tune_step.NetworkTrainer(rest, noise, task, frozen)

    def planned(stage: schedule.Stage) -> int:
        """Steps of the run itself, whatever the batch of the plan."""
        return sum(schedule.steps_in_epoch(spec.recipe, count, epoch) for epoch in stage.epochs)

    steps = [
        Program(
            f"step at {stage.image_size}",
            trainer.step(stage),
            (
                images_of(images.fed, batch_size, dtype=images.dtype),
                tf.TensorSpec((batch_size,), tf.int32),
                tf.TensorSpec((2,), tf.int32),
            ),
            batch_size // layout.replicas,
            math.ceil(planned(stage) * whole / batch_size),
            images.beside_step,
        )
        for stage in schedule.split(recipe, spec.image_size)
    ]
    few = evaluate.batch(layout) * layout.replicas
    epochs = schedule.epochs(spec.recipe, count)
    # At the end, every epoch that a rule chooses once more, if these are not the same.
    chosen = min(epochs, len(SELECTIONS))
    calls = (epochs + chosen) * math.ceil(validation / few)
    calls += chosen * sum(math.ceil(part / few) for part in test)
    held = size_of(trainer.variables) - size_of(rest.variables) + images.beside_evaluation
    head = (1, VARIANTS[spec.variant].width, spec.classes)
    evaluator = Evaluator(images.features, few, layout)
    body = evaluation("evaluation", evaluator, layout, head, calls, images.fed, images.dtype)
    # The largest first. The last has a loop of one turn.
    listed = [*reversed(steps), replace(body, held=held, body=body)]
    if frozen is not None and maps:
        listed.append(
            feature_program.program(
                spec, data, frozen, None, device, "frozen stages", frozen_maps.forward
            )
        )
    return listed


@dataclass(frozen=True)
class _Images:
    """How images come to the programs.

    Attributes:
        train: as `FineTuneTask.images`.
        features: what an `Evaluator` looks features up with.
        fed: the shape of an image that a program is handed; () where it is given positions.
        beside_step: bytes of images on the device that a step does not take.
        beside_evaluation: bytes of images on the device that a turn of evaluation does not take.
        dtype: of what a program is handed.
    """

    train: Lookup
    features: Lookup
    fed: tuple[int, ...]
    beside_step: int
    beside_evaluation: int
    dtype: tf.DType = tf.uint8


_PIXELS = np.dtype(np.uint8)

Shapes = list[tuple[int, int, int, int]]


def _held(shapes: Shapes, run: Lookup, layout: Layout) -> _Images:
    """All of them lie on the device."""
    train, *evaluated = map(math.prod, shapes)
    few = evaluate.batch(layout) * layout.replicas
    return _Images(
        train=inputs.gathered(np.zeros(shapes[0], np.uint8), layout),
        features=inputs.gathered(np.zeros((few, *shapes[0][1:]), np.uint8), layout, run),
        fed=(),
        beside_step=sum(evaluated),
        beside_evaluation=train + sum(evaluated),
    )


def _fed(shapes: Shapes, run: Lookup, layout: Layout, dtype: np.dtype = _PIXELS) -> _Images:
    """The host hands over those of a step, and those of some turns of evaluation at once."""
    batch, most = evaluate.batch(layout), max(count for count, *_ in shapes[1:])
    # A view of one black pixel, which takes no memory.
    rows = np.broadcast_to(np.zeros((), dtype), shapes[0])
    piece = feeding.batches_at_once(rows, batch, layout.replicas) // layout.replicas
    turns = min(piece, math.ceil(most / (batch * layout.replicas)))
    return _Images(
        train=frozen_maps.decoded,
        features=run,
        fed=shapes[0][1:],
        beside_step=0,
        beside_evaluation=(turns - 1) * batch * math.prod(shapes[0][1:]) * dtype.itemsize,
        dtype=tf.as_dtype(dtype),
    )
