"""The programs of a run that trains a whole network: a step of each stage, and evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from effbench.config import schedule
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data import datasets
from effbench.hardware.devices import Device
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.records.record import SELECTIONS
from effbench.training import evaluate, fine_tune_step, inputs
from effbench.training.evaluate import Evaluator
from effbench.training.replica_program import Program, evaluation, size_of


def programs(spec: RunSpec, batch: int | None, device: Device) -> list[Program]:
    """Lists the programs, as `methods.Method` says.

    With `batch`, a step takes that many images on each replica, and the run has more of them in
    proportion, as if each were a micro-batch with an optimizer's step of its own.
    """
    layout, whole = device.layout, spec.recipe.batch_size
    batch_size = batch * layout.replicas if batch else whole
    recipe = replace(spec.recipe, batch_size=batch_size)
    model, noise = backbone.trainable(
        VARIANTS[spec.variant], spec.precision, recipe.survival, device.kind
    )
    counts = datasets.counts(spec.data)
    side = datasets.DATASETS[spec.data].side or spec.image_size
    images = [np.zeros((count, side, side, 3), np.uint8) for count in counts]
    task = fine_tune_step.FineTuneTask(
        images=inputs.gathered(images[0], layout),
        labels=np.zeros(counts[0], np.uint8),
        recipe=recipe,
        preprocessing=spec.preprocessing,
        seed=spec.seed,
        micro_batch=batch_size,
        device=device.kind,
        layout=layout,
        classes=spec.classes,
    )
    trainer = fine_tune_step.NetworkTrainer(model, noise, task)

    def planned(stage: schedule.Stage) -> int:
        """Steps of the run itself, whatever the batch of the plan."""
        return sum(schedule.steps_in_epoch(spec.recipe, counts[0], epoch) for epoch in stage.epochs)

    evaluated = images[1].nbytes + images[2].nbytes
    steps = [
        Program(
            f"step at {stage.image_size}",
            trainer.step(stage),
            (
                tf.TensorSpec((batch_size,), tf.int32),
                tf.TensorSpec((batch_size,), tf.int32),
                tf.TensorSpec((2,), tf.int32),
            ),
            batch_size // layout.replicas,
            math.ceil(planned(stage) * whole / batch_size),
            evaluated,
        )
        for stage in schedule.split(recipe, spec.image_size)
    ]
    few = evaluate.batch(layout) * layout.replicas
    small = inputs.backbone(images[1][:few], spec, model, device)
    epochs = schedule.epochs(spec.recipe, counts[0])
    # At the end, every epoch that a rule chooses once more, if these are not the same.
    chosen = min(epochs, len(SELECTIONS))
    calls = (epochs + chosen) * math.ceil(counts[1] / few) + chosen * math.ceil(counts[2] / few)
    held = size_of(trainer.variables) - size_of(model.variables) + images[0].nbytes + evaluated
    head = (1, VARIANTS[spec.variant].width, spec.classes)
    body = evaluation("evaluation", Evaluator(small, few, layout), layout, head, calls)
    # The largest first. The last has a loop of one turn.
    return [*reversed(steps), replace(body, held=held, body=body)]
