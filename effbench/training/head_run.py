"""Runs that train a head: all seeds of a job on the features of one frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.splits import Dataset
from effbench.errors import NonFiniteError
from effbench.progress import Step
from effbench.records.record import SELECTIONS, Seconds
from effbench.training import frozen_backbone, head_training, inputs
from effbench.training.evaluate import Evaluator
from effbench.training.interface import Finished, Outcome, Setting, selected


def train(setting: Setting) -> Outcome:
    """Trains and scores every run of the job."""
    job, dataset, device, watch = setting.job, setting.dataset, setting.device, setting.watch
    spec, layout, report = job.specs[0], device.layout, setting.report
    model, verified = frozen_backbone.load(job, dataset, layout)
    with layout.scope():
        build = watch.lap()

        source = inputs.cached if spec.feature_cache else inputs.direct
        looked, known = source(job, dataset, model, device, report)
        extraction = watch.lap()

        train, *held_out = dataset.splits
        evaluators = [
            Evaluator(lookup, len(split.labels), layout)
            for lookup, split in zip(looked[1:], held_out, strict=True)
        ]
        task = head_training.HeadTask(
            looked[0],
            train.labels,
            evaluators[0],
            dataset.validation.labels,
            VARIANTS[spec.variant].width,
            layout,
            len(dataset.classes),
        )
        # Without cached features each head runs the backbone, which takes all cores by itself.
        threads = device.threads if spec.feature_cache else 1
        heads = head_training.train(
            task, spec.recipe, [run_spec.seed for run_spec in job.specs], threads, report
        )
        training = watch.lap()

        report(Step("evaluate"))
        runs = [
            (run_spec, _finished(run_spec, head, dataset, evaluators))
            for run_spec, head in zip(job.specs, heads, strict=True)
        ]
    images = sum(len(split.labels) for split in dataset.splits)
    return Outcome(
        runs,
        verified,
        Seconds(setting.startup, build, extraction, training, watch.lap()),
        features_computed=images - known if spec.feature_cache else 0,
        features_cached=known,
    )


def _finished(
    spec: RunSpec,
    head: head_training.Head,
    dataset: Dataset,
    evaluators: Sequence[Evaluator],
) -> Finished | NonFiniteError:
    """The results of a head, or the error that ended it."""
    if head.error is not None:
        return head.error
    indices = {rule: head_training.choose(head.history, rule) for rule in SELECTIONS}
    kernels = np.stack([head.weights[index][0] for index in indices.values()])
    biases = np.stack([head.weights[index][1] for index in indices.values()])
    evaluated = [evaluator.logits(kernels, biases) for evaluator in evaluators]
    epochs = {rule: head.history[index].epoch for rule, index in indices.items()}
    logits = dict(zip(epochs.values(), zip(*evaluated, strict=True), strict=True))
    try:
        rows = tuple(
            selected(rule, epoch, logits[epoch], dataset) for rule, epoch in epochs.items()
        )
    except NonFiniteError as error:
        return error
    chosen = indices[spec.recipe.selection]
    return Finished(rows, tuple(head.history), logits, list(head.weights[chosen]))
