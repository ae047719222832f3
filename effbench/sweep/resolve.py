"""From what the command line says to the runs it asks for: names, rows of tables, then specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product
from pathlib import Path

from effbench.config import network_stages, recipe_settings, recipes, schedule, searches
from effbench.config.recipe_numbers import Recipe
from effbench.config.run_spec import RunSpec
from effbench.config.searches import Search
from effbench.config.sweep_options import SweepOptions
from effbench.config.variants import Variant
from effbench.data import datasets, few_shot
from effbench.engines import engine_table
from effbench.errors import UsageError
from effbench.models.weights import RANDOM, WeightsSource
from effbench.progress import Report, silent
from effbench.sweep import fit_for_data, table_rows, targets
from effbench.sweep.needs import memory_needed, solving_time
from effbench.sweep.needs.timed_processes import Counts
from effbench.sweep.table_rows import TableRows
from effbench.sweep.targets import Target
from effbench.training import choices


@dataclass(frozen=True)
class Request:
    """What to run, and from where.

    Attributes:
        specs: the runs, those of a group beside each other.
        options: the options as the command line gives them.
        source: where the weights come from.
        target: what the runs are computed with.
        data_dir: where the dataset's files are, absolute; None where the dataset knows by itself.
        remarks: what becomes of the options otherwise than one may think, a line each.
        searched: by the name of a recipe, the fields of it that are searched.
        images: how many a run has; None in what was written down before they were counted.
    """

    specs: tuple[RunSpec, ...]
    options: SweepOptions
    source: WeightsSource
    target: Target
    data_dir: Path | None = None
    remarks: tuple[str, ...] = ()
    searched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    images: Counts | None = None

    @property
    def searches(self) -> tuple[Search, ...]:
        """What its runs are searches of."""
        named = ((spec, self.searched.get(spec.recipe.name)) for spec in self.specs)
        return tuple(
            dict.fromkeys(searches.of(spec, numbers) for spec, numbers in named if numbers)
        )


def resolve(options: SweepOptions, report: Report = silent) -> Request:
    """Checks everything that can be checked before the first run, and names every run.

    Args:
        options: the options as the command line gives them.
        report: told of a download of the dataset.

    Raises:
        EffbenchError: something is unknown, missing or impossible.
    """
    data, data_dir = datasets.source(options.images.data, options.images.data_dir)
    chosen = table_rows.chosen(options.training.recipe or datasets.recipe(data))
    tables = [table_rows.rows_of(options, recipe, chosen) for recipe in chosen]
    table_rows.refuse_what_is_needless(options, chosen)
    fit_for_data.of_flags(data, options)
    target = targets.of(options.device)
    trained = [
        [
            (variant, weights, settings, recipe_of(rows.recipe, variant, settings, target.replicas))
            for (variant, weights), settings in product(rows.networks, rows.settings)
        ]
        for rows in tables
    ]
    # After all that is cheap to check: it may have to be downloaded.
    whole = datasets.load(data, data_dir, report, skip_unreadable=options.images.skip_unreadable)
    dataset = few_shot.fewer(whole, options.images.limit, options.images.per_class)
    sizes = {
        variant: options.networks.image_size or variant.image_size
        for variant, _ in tables[0].networks
    }
    trained_recipes = [recipe for _, _, _, recipe in chain(*trained)]
    fit_for_data.of_images(dataset, trained_recipes, max(sizes.values()), options)
    images = len(dataset.train.labels)
    specs = tuple(
        RunSpec(
            variant=variant.name,
            weights=weights,
            image_size=sizes[variant],
            recipe=with_epochs_for_steps(recipe, settings, images),
            data=data,
            data_sha256=dataset.sha256,
            limit=options.images.limit,
            per_class=options.images.per_class,
            seed=seed,
            precision=target.precision,
            feature_cache=rows.feature_cache,
            micro_batch=options.device.micro_batch if rows.recipe.way.micro_batches else None,
            classes=len(dataset.classes),
            folds=options.images.kfold or 0,
        )
        for rows, trainings in zip(tables, trained, strict=True)
        for variant, weights, settings, recipe in trainings
        for seed in rows.seeds
    )
    for spec in specs:
        frozen = spec.recipe.way.frozen_backbone and spec.feature_cache
        engine_table.choose(target.engine, target.device, frozen)
        if spec.recipe.way.whole_batches:
            _suits(spec, images, target.replicas or 1)
    for rows in tables:
        _alike_but_for_what_is_searched(rows, specs)
    # Random weights need none, wherever other recipes have theirs from.
    sources = [rows.source for rows in tables]
    source = next((source for source in sources if source.name != RANDOM), sources[0])
    splits = tuple(len(split.labels) for split in dataset.splits)
    everything = sum(splits)
    counts = Counts(everything if options.images.kfold else images, everything, splits)
    here = target.device == "cpu" and not options.device.elsewhere
    retry = options.execution.oom_retry
    remarks = (
        *chain(*(rows.remarks for rows in tables)),
        *memory_needed.remarks(specs, target.device, target.replicas or 1),
        *(memory_needed.begins_smaller(specs, retry=retry) if here else ()),
        *solving_time.remarks(specs, counts),
    )
    searched = {rows.recipe.name: rows.searched for rows in tables}
    return Request(specs, options, source, target, data_dir, remarks, searched, counts)


def recipe_of(
    row: Recipe,
    variant: Variant,
    settings: tuple[str, ...],
    replicas: int | None,
    per_replica: int | None = None,
) -> Recipe:
    """The recipe of one variant, with the numbers that the command line gives instead.

    Args:
        row: the recipe as its row has it.
        variant: the variant.
        settings: texts "key=value" that replace the recipe's numbers.
        replicas: how many share a batch; None for one program without a strategy.
        per_replica: images of each replica, where that counts and `settings` name no batch size;
            None for what is usual.

    Raises:
        UsageError: a number is impossible.
    """
    standard = recipes.resolved(row.name, variant.name)
    usual = standard.way.batch_per_replica
    if usual is not None and replicas is not None:
        standard = replace(standard, batch_size=(per_replica or usual) * replicas)
    recipe = recipe_settings.changed(standard, settings)
    choices.check(recipe, standard)
    if recipe.unfreeze not in network_stages.names(variant):
        rule = f"{variant.name} has no such stage to --set unfreeze"
        hint = f"choose from {', '.join(network_stages.names(variant))}"
        raise UsageError(rule, recipe.unfreeze, hint)
    if recipe.batch_size % (replicas or 1):
        raise UsageError(
            f"--batch-size is global, and divides by the {replicas} replicas",
            str(recipe.batch_size),
            f"give a multiple of {replicas}",
        )
    return recipe


def with_epochs_for_steps(recipe: Recipe, settings: tuple[str, ...], images: int) -> Recipe:
    """The recipe with as many epochs as the given steps take, unless epochs were given too."""
    given = {setting.partition("=")[0] for setting in settings}
    if recipe.steps is None or "steps" not in given or "epochs" in given:
        return recipe
    return replace(recipe, epochs=schedule.epochs_for_steps(recipe, images, recipe.steps))


def _alike_but_for_what_is_searched(rows: TableRows, specs: Sequence[RunSpec]) -> None:
    """Makes sure that the runs of a search differ in nothing else.

    Raises:
        UsageError: they do.
    """
    mine = [spec for spec in specs if spec.recipe.name == rows.recipe.name]
    if len({searches.of(spec, rows.searched) for spec in mine}) > len(rows.networks):
        raise UsageError(
            "values of a search change nothing else",
            "the epochs that --set steps takes depend on the batch_size",
            "give --epochs too",
        )


def _suits(spec: RunSpec, images: int, replicas: int) -> None:
    """Makes sure that the sizes of a run suit each other: batch, micro-batch, replicas, images.

    Raises:
        UsageError: a size does not suit.
    """
    batch, micro = spec.recipe.batch_size, spec.micro_batch or spec.recipe.batch_size
    if batch > images:
        raise UsageError(
            f"{spec.recipe.name} trains on whole batches of images, of which there are {images:,}",
            f"a batch of {batch}",
            "give a smaller --batch-size, or more images",
        )
    if batch % micro or micro % replicas:
        raise UsageError(
            f"--micro-batch divides the batch of {batch}, and by the replicas ({replicas})",
            str(micro),
            f"give a divisor of {batch}",
        )
    schedule.split(spec.recipe, spec.image_size)
