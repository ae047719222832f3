"""The command that repeats a run, from its record alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import PurePath

from effbench.config.recipe_numbers import Recipe
from effbench.config.recipe_settings import FLAGS
from effbench.config.recipes import RECIPES, resolved
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.datasets import DATASETS
from effbench.errors import EffbenchError
from effbench.models.weights import WeightsSource
from effbench.records.record import Record, RunResult


@dataclass(frozen=True)
class Rerun:
    """A line for a shell, and a short line for each thing that it cannot say."""

    command: str
    hints: tuple[str, ...]


def rerun(record: Record, data: str = "", weights_folder: str = "") -> Rerun:
    """How to repeat a run so that its key comes out the same.

    Args:
        record: of the run.
        data: what `--data` is given; "" for the name of the data.
        weights_folder: where weights are that are no release; "" for the working directory.

    Raises:
        EffbenchError: no flags of this effbench lead to it.
    """
    spec = record.spec
    words = ["effbench", "sweep", *_device(record)]
    for flag, value in _flags(record, data, weights_folder):
        words += [flag, str(value)]
    if spec.recipe.way.frozen_backbone and not spec.feature_cache:
        words.append("--no-feature-cache")
    if isinstance(record, RunResult) and record.images.skipped:
        words.append("--skip-unreadable")
    return Rerun(shlex.join(words), tuple(_hints(record)))


def _device(record: Record) -> list[str]:
    if not isinstance(record, RunResult):
        return []
    made = record.provenance
    divided = made.device == "cpu" and made.replicas > 1
    return [f"--{made.device}", *(["--replicas", str(made.replicas)] if divided else [])]


def _flags(record: Record, data: str, weights_folder: str) -> Iterator[tuple[str, object]]:
    """The flags that name the run, and those for what differs from its recipe and its variant."""
    spec = record.spec
    yield "--variants", spec.variant
    by_hand, weights = _by_hand(spec), _weights(record)
    yield "--weights", str(PurePath(weights_folder, weights)) if by_hand else weights
    if by_hand:
        yield "--rescale", spec.weights.rescale
    yield "--data", data or spec.data
    yield "--recipe", spec.recipe.name
    yield "--seeds", spec.seed
    yield "--precision", spec.precision
    standard = _standard(record)
    # Unless it is on one whole CPU, a sweep may choose the batch by the number of replicas.
    said = () if _device(record) == ["--cpu"] else ("batch_size",)
    for name, flag in FLAGS.items():
        if name in said or getattr(spec.recipe, name) != getattr(standard, name):
            yield flag, getattr(spec.recipe, name)
    for name in _changed(spec.recipe, standard):
        yield "--set", f"{name}={getattr(spec.recipe, name)}"
    if spec.micro_batch is not None:
        yield "--micro-batch", spec.micro_batch
    if spec.image_size != VARIANTS[spec.variant].image_size:
        yield "--image-size", spec.image_size
    if spec.limit is not None:
        yield "--limit", spec.limit
    if spec.per_class is not None:
        yield "--per-class", spec.per_class
    if spec.folds:
        yield "--kfold", spec.folds


def _by_hand(spec: RunSpec) -> bool:
    """Whether the weights are a file that is no release."""
    return not (spec.weights.random or spec.weights.released)


def _weights(record: Record) -> str:
    """The name of the weights, or of their file, for `--weights`."""
    spec = record.spec
    variant = VARIANTS[spec.variant]
    if _by_hand(spec):
        if isinstance(record, RunResult):
            return record.provenance.weights_file
        release = variant.releases.get(spec.weights.name)
        return release.file if release else "weights.h5"
    here = WeightsSource(spec.weights.name, None, "auto").identify(variant)
    if here != spec.weights:
        raise EffbenchError(
            f"{spec.weights.name} of {spec.variant} is another file here",
            f"{here.digest} ({here.rescale}), not {spec.weights.digest} ({spec.weights.rescale})",
            _older(record),
        )
    return spec.weights.name


def _standard(record: Record) -> Recipe:
    """The recipe's numbers that the flags start from."""
    recipe = record.spec.recipe
    if recipe.name not in RECIPES:
        raise EffbenchError("this effbench has no such recipe", recipe.name, _older(record))
    standard = resolved(recipe.name, record.spec.variant)
    fixed = [
        f"{name} {getattr(standard, name)}, not {getattr(recipe, name)}"
        for name in _changed(recipe, standard)
        if name not in standard.settable or getattr(recipe, name) is None
    ]
    if fixed:
        raise EffbenchError(f"{recipe.name} is another here", ", ".join(fixed), _older(record))
    return standard


def _changed(recipe: Recipe, standard: Recipe) -> list[str]:
    """The numbers that differ from the standard, and have no flag of their own."""
    names = [field.name for field in fields(Recipe) if field.name not in FLAGS]
    return [name for name in names if getattr(recipe, name) != getattr(standard, name)]


def _older(record: Record) -> str:
    commit = record.provenance.commit if isinstance(record, RunResult) else ""
    return f"use the effbench that it ran with{f', commit {commit}' if commit else ''}"


def _hints(record: Record) -> Iterator[str]:
    spec = record.spec
    if spec.data in DATASETS:
        where = "--data-dir says where, if it has files"
    else:
        where = f"instead of {spec.data} give the path of that folder of photos, or of their table"
    yield f"data: {spec.data} of sha256 {spec.data_sha256}; {where}"
    if _by_hand(spec):
        yield f"weights: give the path of the file ({spec.weights.digest})"
    yield "results: --force repeats it where it is finished, another --results keeps both"
    if isinstance(record, RunResult):
        made = record.provenance
        versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
        yield f"software: commit {made.commit or 'unknown'}, {versions}"
    else:
        yield "device: unknown, as the run failed; say --cpu, --gpu or --tpu"
