"""From what the command line says to the runs that a plan is of: those that a sweep would do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effbench.config import recipes, schedule, searches, variants
from effbench.config.recipe_numbers import Recipe
from effbench.config.run_spec import RunSpec, WeightsId
from effbench.config.variants import Variant
from effbench.data import datasets
from effbench.data.outline import PUBLISHED, Outline
from effbench.errors import UsageError
from effbench.hardware import machine, tpu_slices
from effbench.hardware.tpu_slices import Slice
from effbench.sweep import fit_for_data, resolve


@dataclass(frozen=True)
class PlanOptions:
    """A plan as the command line describes it.

    Attributes:
        tpus: comma-separated names of `tpu_slices.SLICES`, or "all".
        variants: comma-separated names, as `variants.select` takes them.
        recipes: comma-separated names, or None for the usual one of the data.
        data: name of a row of `datasets.DATASETS` whose counts of images are known, the path of a
            folder of photos or of their table, or else a name in `outline.PUBLISHED`.
        image_size: pixels, instead of each variant's native size.
        settings: "key=value" each, instead of the recipes' numbers.
        batch: images that a replica takes at once, or None for what the run takes.
        largest: whether to find the largest batch that fits, too.
    """

    tpus: str = "all"
    variants: str = variants.USUAL
    recipes: str | None = None
    data: str = "cifar10"
    image_size: int | None = None
    settings: tuple[str, ...] = ()
    batch: int | None = None
    largest: bool = False


@dataclass(frozen=True)
class PlanCase:
    """One run on one slice.

    Attributes:
        name: of the data, as a key has it.
        data: how many images of what kind.
        row: the recipe as its row has it.
        tpu: the slice.
        variant: the variant.
        image_size: pixels.
        settings: "key=value" each, instead of the recipe's numbers.
    """

    name: str
    data: Outline
    row: Recipe
    tpu: Slice
    variant: Variant
    image_size: int
    settings: tuple[str, ...] = ()

    def spec(self, batch: int | None) -> RunSpec:
        """The run that `sweep --tpu` would do.

        Args:
            batch: images that a replica takes at once, or None for what the run takes.

        Raises:
            UsageError: a number of the recipe is impossible, or does not suit the data.
        """
        images, release = self.data.counts[0], self.variant.release("auto")
        recipe = resolve.recipe_of(self.row, self.variant, self.settings, self.tpu.replicas, batch)
        recipe = resolve.with_epochs_for_steps(recipe, self.settings, images)
        if self.data.side is not None:
            fit_for_data.of_pixels(recipe, self.name)
        if recipe.way.whole_batches and recipe.batch_size > images:
            raise UsageError(
                f"{recipe.name} trains on whole batches of images, of which there are {images:,}",
                f"a batch of {recipe.batch_size}",
                f"plan a smaller one, e.g. --set batch_size={4 * self.tpu.replicas}",
            )
        schedule.split(recipe, self.image_size)
        return RunSpec(
            variant=self.variant.name,
            weights=WeightsId(release.name, f"md5:{release.md5}", release.rescale),
            image_size=self.image_size,
            recipe=recipe,
            data=self.name,
            data_sha256="",
            limit=None,
            seed=0,
            precision=machine.precision("auto", "tpu"),
            feature_cache=recipe.way.frozen_backbone,
            classes=self.data.classes,
        )


def cases(options: PlanOptions) -> list[PlanCase]:
    """All runs of a plan, by recipe, slice and variant.

    Raises:
        EffbenchError: something is unknown or impossible, or the data cannot be trained on.
    """
    if several := searches.searched(options.settings):
        rule = "a plan takes one value of each number: those of a search take as long each"
        raise UsageError(rule, f"several of {', '.join(several)}", "choose one")
    name, data = _data(options.data)
    rows = [
        (recipes.get(recipe.strip()), tpu, variant)
        for recipe in (options.recipes or datasets.recipe(name)).split(",")
        for tpu in tpu_slices.select(options.tpus)
        for variant in variants.select(options.variants)
    ]
    listed = [
        PlanCase(name, data, *row, options.image_size or row[-1].image_size, options.settings)
        for row in rows
    ]
    for case in listed:
        _check_batch(options.batch, case)
        case.spec(options.batch)
    return listed


def _data(data: str) -> tuple[str, Outline]:
    """The name of the data and how much there is; a folder counts before what was published."""
    if data.lower() in PUBLISHED and not Path(data).exists():
        return data.lower(), PUBLISHED[data.lower()]
    name, directory = datasets.source(data)
    return name, datasets.outline(name, directory)


def _check_batch(batch: int | None, case: PlanCase) -> None:
    tpu, images = case.tpu, case.data.counts[0]
    if batch is not None and batch * tpu.replicas > images:
        raise UsageError(
            f"--batch-per-replica takes up to {images // tpu.replicas:,} on {tpu.name}",
            f"{batch:,} on each of {tpu.replicas} replicas",
            f"there are {images:,} training images",
        )
