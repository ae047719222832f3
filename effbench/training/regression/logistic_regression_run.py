"""Runs that solve a logistic regression on the features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from effbench.cpu import cores
from effbench.data.splits import Dataset, Split
from effbench.errors import EffbenchError, NonFiniteError
from effbench.progress import Report, Step
from effbench.training import cross_validation
from effbench.training.evaluate import LOOK
from effbench.training.features import extraction, frozen_backbone
from effbench.training.interface import Finished, Outcome, Setting, selected
from effbench.training.regression import l2_grid
from effbench.training.regression.l2_grid import Examples, L2Task

Solved = Finished | NonFiniteError


def train(setting: Setting) -> Outcome:
    """Solves and scores the run of the job, of which there is one: nothing in it is random."""
    job, dataset, device, phases = setting.job, setting.dataset, setting.device, setting.phases
    (spec,) = job.specs

    def fit(parts: Sequence[np.ndarray], images: Dataset, report: Report) -> list[Solved]:
        def told(done: int, total: int, note: str) -> None:
            report(Step("train", done, total, "solutions", note))

        train, validation, *_ = (
            Examples(features, split.labels, split.groups)
            for features, split in zip(parts, images.splits, strict=True)
        )
        task = L2Task(train, validation, spec.classes, spec.recipe, cores(), told)
        search, head = l2_grid.search(task)
        phases.end("train")
        report(Step("evaluate"))
        logits = tuple(head.logits(features) for features in parts[1:])
        scores = selected(spec.recipe.selection, 0, logits, images)
        phases.end("evaluate")
        return [Finished((scores,), (), {scores.prefix: logits}, [head.kernel, head.bias], search)]

    model, verified = frozen_backbone.load(job, dataset, device.layout, setting.engine)
    with device.layout.scope():
        phases.end("build")
        computed = extraction.features(setting, model)
        parts = computed.parts
        check(f"pooled features of {spec.variant}", parts, dataset)
        solved = cross_validation.fitted(spec, parts, dataset, fit, setting.report)
    return computed.outcome(list(zip(job.specs, solved, strict=True)), verified)


def check(name: str, parts: Sequence[np.ndarray], dataset: Dataset) -> None:
    """Makes sure that a regression on some features has a solution.

    Args:
        name: what the features are.
        parts: the features of each split, float32 [n, width].
        dataset: whose images they are.

    Raises:
        NonFiniteError: a feature of an image is not finite.
        EffbenchError: all training images have the same features.
    """
    names = ("train", *dataset.held_out)
    for split_name, split, features in zip(names, dataset.splits, parts, strict=True):
        wrong = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(wrong):
            which = f"{len(wrong):,} of {len(features):,}, the first {_image(split, wrong[0])}"
            raise NonFiniteError(f"{name} must be finite", f"{split_name}: {which}", LOOK)
    if (parts[0] == parts[0][0]).all():
        raise EffbenchError(
            f"{name} must differ between images",
            f"all {len(parts[0]):,} of train are those of {_image(dataset.train, 0)}",
            "look at the images and at the weights",
        )


def _image(split: Split, position: int) -> str:
    return split.names[position] if split.names else f"image {split.index[position]}"
