"""The rows of the tables that a sweep names: variants, weights, recipes; and what suits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from effbench.config import recipe_settings, recipes, searches, variants
from effbench.config.recipe_numbers import Recipe
from effbench.config.run_spec import WeightsId
from effbench.config.sweep_options import SweepOptions
from effbench.config.variants import Variant
from effbench.errors import UsageError
from effbench.models.weights import RANDOM, WeightsSource
from effbench.sweep.seeds import UNSEEDED, parse_seeds


def chosen(names: str) -> list[Recipe]:
    """The rows of comma-separated names.

    Raises:
        UsageError: one is unknown, or there twice.
    """
    listed = [name.strip() for name in names.split(",")]
    if len(set(listed)) < len(listed):
        raise UsageError("a recipe is there twice", names, "name each recipe once")
    return [recipes.get(name) for name in listed]


@dataclass(frozen=True)
class TableRows:
    """The rows of the tables that were named.

    Attributes:
        networks: variants, each with its weights.
        source: where the weights come from.
        recipe: the recipe as its row has it, before it is resolved for a variant.
        settings: texts "key=value" that replace the recipe's numbers, for each training of a
            network; flags are among them. There are several where numbers are searched.
        searched: fields of the recipe that are searched.
        seeds: the seeds of each network.
        feature_cache: whether features are computed once.
        remarks: as in a `Request`.
    """

    networks: tuple[tuple[Variant, WeightsId], ...]
    source: WeightsSource
    recipe: Recipe
    settings: tuple[tuple[str, ...], ...]
    searched: tuple[str, ...]
    seeds: tuple[int, ...]
    feature_cache: bool
    remarks: tuple[str, ...]


def rows_of(options: SweepOptions, recipe: Recipe, beside: Sequence[Recipe]) -> TableRows:
    """The rows for one recipe of a sweep.

    Args:
        options: the options as the command line gives them.
        recipe: the recipe as its row has it.
        beside: all recipes of the sweep.

    Raises:
        UsageError: there is no such row, or a list of values is none.
    """
    named = variants.select(options.networks.variants)
    source = WeightsSource.parse(options.networks.weights, options.networks.rescale)
    if source.path is not None and len(named) != 1:
        raise UsageError(
            "a file of weights fits one variant",
            ",".join(variant.name for variant in named),
            "name that one with --variants",
        )
    if not recipe.pretrained and source.name != RANDOM:
        if source.name != "auto":
            raise UsageError(
                f"{recipe.name} starts from random weights",
                options.networks.weights,
                "leave out --weights",
            )
        source = replace(source, name=RANDOM)
    seeds = parse_seeds(options.networks.seeds)
    remarks, way, execution = [], recipe.way, options.execution
    if not way.seeded and seeds != UNSEEDED:
        remarks.append(
            f"{recipe.name} has one solution, whatever the seed: one run of each variant, not "
            f"--seeds {options.networks.seeds}"
        )
        seeds = UNSEEDED
    settings = _settings(recipe, options, beside)
    return TableRows(
        networks=tuple((variant, source.identify(variant)) for variant in named),
        source=source,
        recipe=recipe,
        settings=tuple(searches.combinations(recipe, settings)),
        searched=searches.searched(settings),
        seeds=seeds,
        feature_cache=way.frozen_backbone and (execution.feature_cache or not way.in_every_step),
        remarks=tuple(remarks),
    )


def _settings(recipe: Recipe, options: SweepOptions, beside: Sequence[Recipe]) -> tuple[str, ...]:
    """Texts "key=value", or with several values, of all numbers that are for a recipe.

    One that none of the recipes `beside` it has is for all, so that each refuses it.
    """
    flags = {key: getattr(options.training, key) for key in recipe_settings.FLAGS}
    given = (f"{key}={value}" for key, value in flags.items() if value is not None)
    others = {key for row in beside for key in row.settable} - {*recipe.settable}
    settings = (*options.training.settings, *given)
    return tuple(text for text in settings if recipe_settings.key_of(text) not in others)


def refuse_what_is_needless(options: SweepOptions, chosen: Sequence[Recipe]) -> None:
    """Makes sure that each flag is for one of the recipes.

    Raises:
        UsageError: one is for none of them.
    """
    micro_batch = options.device.micro_batch
    for flag, received, serves in (
        *(
            (flag, getattr(options.training, key), lambda recipe, key=key: key in recipe.settable)
            for key, flag in recipe_settings.FLAGS.items()
        ),
        (
            "--no-feature-cache",
            None if options.execution.feature_cache else "all features are computed once",
            lambda recipe: recipe.way.in_every_step,
        ),
        ("--micro-batch", micro_batch, lambda recipe: recipe.way.micro_batches),
        (
            "--tensorboard",
            "its learning curve is in history.csv" if options.execution.tensorboard else None,
            lambda recipe: recipe.way.tensorboard,
        ),
    ):
        if received is not None and not any(map(serves, chosen)):
            first = chosen[0]
            rule = f"{first.name} trains {first.way.trained}, which needs no {flag}"
            raise UsageError(rule, str(received), "leave it out")
    for recipe in chosen:
        if options.images.kfold and not recipe.way.frozen_backbone:
            rule = f"{recipe.name} trains {recipe.way.trained}, which needs no --kfold"
            raise UsageError(rule, "a network for each fold", "leave it out")
