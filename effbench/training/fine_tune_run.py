"""Runs that train a whole network: one a job, safe against the end of its process."""

from __future__ import annotations

import numpy as np

import effbench
from effbench.config import schedule
from effbench.config.variants import VARIANTS
from effbench.data.splits import Rows
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone, weights
from effbench.progress import Step
from effbench.records.record import Seconds
from effbench.records.store import Store
from effbench.training import fine_tune, inputs
from effbench.training.checkpoints import Keeper
from effbench.training.feeding import StepFeed
from effbench.training.fine_tune_step import FineTuneTask, NetworkTrainer
from effbench.training.interface import Finished, Logits, Outcome, Setting, selected
from effbench.training.metrics_log import Logs


def train(setting: Setting) -> Outcome:
    """Trains and scores the run of the job."""
    job, dataset, device, watch = setting.job, setting.dataset, setting.device, setting.watch
    (spec,) = job.specs
    recipe, layout, report = spec.recipe, device.layout, setting.report
    store, images = Store(job.results), dataset.train.pixels
    feed = StepFeed(images, recipe.batch_size) if isinstance(images, Rows) else None
    with tf.device(layout.placement):
        model, noise = backbone.trainable(
            VARIANTS[spec.variant], spec.precision, recipe.survival, device.kind
        )
        if job.weights_file is None:
            backbone.randomize(model, spec.seed)
            verified = "random weights"
        else:
            verified = weights.verified(model, job.weights_file, spec.weights)
        model = layout.mirror(model)
    with layout.scope():
        task = FineTuneTask(
            tf.identity if isinstance(images, Rows) else inputs.gathered(images, layout),
            dataset.train.labels,
            recipe,
            spec.preprocessing,
            spec.seed,
            job.images_at_once,
            device.kind,
            layout,
            len(dataset.classes),
            feed,
            setting.engine,
        )
        trainer = NetworkTrainer(model, noise, task)
        evaluators = [
            inputs.evaluator(split, spec, model, device, setting.engine)
            for split in dataset.held_out.values()
        ]
        build = watch.lap()

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
        watch.lap()

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
    finished = Finished(rows, done.history, logits, arrays)
    return Outcome(
        [(spec, finished)],
        verified,
        Seconds(setting.startup, build, 0.0, round(done.seconds, 3), watch.lap()),
        micro_batch=job.images_at_once,
        resumed=done.resumed,
        engine=setting.engine,
    )
