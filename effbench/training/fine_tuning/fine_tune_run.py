"""Runs that train a whole network: one a job, safe against the end of its process."""

from __future__ import annotations

import numpy as np

import effbench
from effbench.config import schedule
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.splits import Dataset
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models import backbone, layers, parts, weights
from effbench.progress import Step
from effbench.records.store import Store
from effbench.training.checkpoints import Keeper
from effbench.training.features import frozen_backbone, inputs
from effbench.training.feeding import StepFeed
from effbench.training.fine_tuning import fine_tune, frozen_maps
from effbench.training.fine_tuning.fine_tune_step import FineTuneTask, NetworkTrainer
from effbench.training.interface import Finished, Logits, Outcome, Setting, selected
from effbench.training.metrics_log import Logs


def train(setting: Setting) -> Outcome:
    """Trains and scores the run of the job."""
    job, dataset, device, phases = setting.job, setting.dataset, setting.device, setting.phases
    (spec,) = job.specs
    recipe, layout, report = spec.recipe, device.layout, setting.report
    store = Store(job.results)
    with tf.device(layout.placement):
        model, noise = backbone.trainable(
            *(VARIANTS[spec.variant], spec.precision, recipe.survival, device.kind),
            recipe.batch_norm,
        )
        if job.weights_file is None:
            verified = _randomized(model, noise, spec, dataset)
        else:
            verified = weights.verified(model, job.weights_file, spec.weights)
        model = layout.mirror(model)
    with layout.scope():
        frozen, rest = parts.cut(model, recipe.unfreeze)
        phases.end("build")
        maps = None
        # Hosts compute each batch together, and none may have what another lacks.
        if frozen is not None and recipe.keeps_maps and device.hosts == 1:
            maps = frozen_maps.of(setting, frozen)
        given = maps.splits[0] if maps else dataset.train.pixels
        task = FineTuneTask(
            inputs.gathered(given, layout)
            if isinstance(given, np.ndarray)
            else frozen_maps.decoded,
            dataset.train.labels,
            recipe,
            spec.preprocessing,
            spec.seed,
            job.images_at_once,
            device.kind,
            layout,
            len(dataset.classes),
            None if isinstance(given, np.ndarray) else StepFeed(given, recipe.batch_size),
            setting.engine,
            maps is not None,
        )
        trainer = NetworkTrainer(rest, noise, task, frozen)
        evaluators = (
            [frozen_maps.evaluator(rows, rest, device, setting.engine) for rows in maps.splits[1:]]
            if maps
            else [
                inputs.evaluator(split, spec, model, device, setting.engine)
                for split in dataset.held_out.values()
            ]
        )
        phases.end("build")

        keeper = Keeper(
            store.checkpoints(spec.key, job.micro_batch),
            spec.key,
            f"effbench {effbench.__version__}, {setting.engine.version} on a {device.kind}",
            # Hosts that went on from different steps would wait for one another.
            job.execution.checkpoint_minutes if device.hosts == 1 else None,
        )
        done = fine_tune.train(
            trainer,
            task,
            schedule.split(recipe, spec.image_size),
            fine_tune.Validation(evaluators[0], dataset.validation.labels),
            fine_tune.Hooks(
                keeper, setting.stopped, report, Logs(store, spec.key, job.execution.tensorboard)
            ),
        )
        phases.end("train")
        phases.part("compile", "train", done.compile_seconds)
        phases.part("data", "train", task.feed.waited if task.feed else 0.0)
        phases.earlier("train", done.seconds_before)

        report(Step("evaluate"))
        logits: dict[int, Logits] = {}
        arrays = list[np.ndarray]()
        for epoch, trained in done.weights.items():
            with trainer.using(trained):
                logits[epoch] = tuple(trainer.logits(evaluator) for evaluator in evaluators)
                if epoch == done.epochs[recipe.selection]:
                    arrays = [*model.get_weights(), trainer.kernel.numpy(), trainer.bias.numpy()]
        rows = tuple(
            selected(rule, epoch, logits[epoch], dataset) for rule, epoch in done.epochs.items()
        )
    phases.end("evaluate")
    kept = {row.prefix: logits[row.epoch] for row in rows}
    finished = Finished(rows, done.history, kept, arrays)
    return Outcome(
        [(spec, finished)],
        verified,
        features_computed=maps.computed if maps else 0,
        features_cached=maps.cached if maps else 0,
        micro_batch=job.images_at_once,
        resumed=done.resumed,
        engine=setting.engine,
    )


def _randomized(model: keras.Model, noise: layers.Noise, spec: RunSpec, dataset: Dataset) -> str:
    """Gives a network random weights; says how. A frozen part needs BatchNorm statistics too."""
    backbone.randomize(model, spec.seed)
    frozen, _ = parts.cut(model, spec.recipe.unfreeze)
    if frozen is None:
        return "random weights"
    images = frozen_backbone.calibrating(spec, dataset)
    noise.keep = lambda _, rate: tf.fill([1], 1 - rate)  # no branch is left out, nor scaled
    backbone.calibrate(frozen, spec.image_size, spec.preprocessing, images)
    before = f"before {spec.recipe.unfreeze}"
    return f"random weights, BatchNorm statistics {before} of {len(images)} training images"
