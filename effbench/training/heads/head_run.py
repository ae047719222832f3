"""Runs that train a head: all seeds of a job on the features of one frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.splits import Dataset
from effbench.engines.engine import TENSORFLOW
from effbench.errors import NonFiniteError
from effbench.progress import Report, Step
from effbench.records.scores import SELECTIONS
from effbench.training import cross_validation
from effbench.training.evaluate import Evaluator, Lookup
from effbench.training.features import extraction, frozen_backbone, inputs
from effbench.training.heads import head_step, head_training
from effbench.training.interface import Finished, Outcome, Setting, selected

Heads = list[Finished | NonFiniteError]


def train(setting: Setting) -> Outcome:
    """Trains and scores every run of the job."""
    job, dataset, device = setting.job, setting.dataset, setting.device
    spec, layout, report = job.specs[0], device.layout, setting.report
    model, verified = frozen_backbone.load(job, dataset, layout, setting.engine)

    def fit(parts: Sequence[np.ndarray], images: Dataset, told: Report) -> Heads:
        looked = [inputs.gathered(part, layout) for part in parts]
        return _fit(setting, looked, images, told, device.threads)

    with layout.scope():
        setting.phases.end("build")
        if spec.feature_cache:
            computed = extraction.features(setting, model)
            heads = cross_validation.fitted(spec, computed.parts, dataset, fit, report)
        else:
            computed = extraction.FeatureParts([], 0, setting.engine)
            looked = inputs.direct(job, dataset, model, device)
            setting.phases.end("data")
            # Each head runs the backbone, which takes all cores by itself.
            heads = _fit(setting, looked, dataset, report, 1)
    return computed.outcome(list(zip(job.specs, heads, strict=True)), verified)


def _fit(
    setting: Setting,
    looked: Sequence[Lookup],
    images: Dataset,
    report: Report,
    threads: int,
) -> Heads:
    """Trains and scores the heads of all seeds.

    Args:
        setting: whose runs they are.
        looked: the features of each split.
        images: the splits.
        report: told of every epoch.
        threads: heads that train at the same time.
    """
    spec, layout = setting.job.specs[0], setting.device.layout
    train, *held_out = images.splits
    engine = setting.engine if setting.engine.runs_steps else TENSORFLOW
    evaluators = [
        Evaluator(lookup, len(split.labels), layout, engine=engine)
        for lookup, split in zip(looked[1:], held_out, strict=True)
    ]
    task = head_step.HeadTask(
        looked[0],
        train.labels,
        evaluators[0],
        images.validation.labels,
        VARIANTS[spec.variant].width,
        layout,
        len(images.classes),
        engine,
    )
    seeds = [run_spec.seed for run_spec in setting.job.specs]
    heads = head_training.train(task, spec.recipe, seeds, threads, report)
    setting.phases.end("train")
    report(Step("evaluate"))
    finished = [_finished(spec, head, images, evaluators) for head in heads]
    setting.phases.end("evaluate")
    return finished


def _finished(
    spec: RunSpec,
    head: head_step.Head,
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
    kept = {row.prefix: logits[row.epoch] for row in rows}
    chosen = indices[spec.recipe.selection]
    return Finished(rows, tuple(head.history), kept, list(head.weights[chosen]))
