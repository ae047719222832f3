"""The programs of a run that trains a head: features once, then the head on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from effbench.config import schedule
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.outline import Outline
from effbench.hardware.devices import Device
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.records.scores import SELECTIONS
from effbench.training import evaluate
from effbench.training.evaluate import Evaluator
from effbench.training.features import feature_program, inputs
from effbench.training.heads import head_step
from effbench.training.replica_program import Program, evaluation, size_of


def programs(spec: RunSpec, data: Outline, batch: int | None, device: Device) -> list[Program]:
    """Lists the programs, as `methods.Method` says."""
    layout = device.layout
    model = backbone.build(VARIANTS[spec.variant], spec.image_size, spec.precision)
    variant, recipe = VARIANTS[spec.variant], spec.recipe
    counts = data.counts
    arrays = [np.zeros((images, variant.width), np.float32) for images in counts]
    train, *held_out = (inputs.gathered(values, layout) for values in arrays)
    evaluators = [
        Evaluator(lookup, images, layout)
        for lookup, images in zip(held_out, counts[1:], strict=True)
    ]
    labels = [np.arange(images) % spec.classes for images in counts]
    task = head_step.HeadTask(
        train, labels[0], evaluators[0], labels[1], variant.width, layout, spec.classes
    )
    trainer = head_step.HeadTrainer(task, recipe)
    whole = recipe.batch_size
    everything = size_of(model.variables) + sum(values.nbytes for values in arrays)
    listed = [
        feature_program.program(spec, data, model, batch, device),
        Program(
            "head step",
            trainer.step,
            (
                tf.TensorSpec((whole,), tf.int32),
                tf.TensorSpec((whole,), tf.int32),
                tf.TensorSpec((whole,), tf.float32),
                tf.TensorSpec((2,), tf.int32),
            ),
            whole // layout.replicas,
            recipe.epochs * schedule.steps_per_epoch(recipe, counts[0]),
            everything - arrays[0].nbytes,
        ),
    ]
    for name, split, heads, calls in (
        ("validation", 1, 1, recipe.epochs),
        ("last validation", 1, len(SELECTIONS), 1),
        ("test", 2, len(SELECTIONS), 1),
    ):
        if split == len(counts):  # there is no test split
            continue
        evaluator = evaluators[split - 1]
        # One batch of it, which looks up no more than it needs: what a loop does before it begins,
        # with the whole array, is in the program with the loop.
        few = evaluate.batch(layout) * layout.replicas
        small = inputs.gathered(np.zeros((few, variant.width), np.float32), layout)
        head = (heads, variant.width, spec.classes)
        body = evaluation(name, Evaluator(small, few, layout), layout, head, 1)
        program = evaluation(name, evaluator, layout, head, calls)
        turns = len(evaluator.batches) // layout.replicas
        held = everything - arrays[split].nbytes
        listed.append(replace(program, held=held, body=body, turns=turns))
    return listed
