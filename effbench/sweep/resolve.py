"""From what the command line says to the runs it asks for: names, rows of tables, then specs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from effbench.config import recipes, schedule, variants
from effbench.config.recipes import Recipe
from effbench.config.run_spec import RunSpec, WeightsId
from effbench.config.sweep_options import DeviceOptions, SweepOptions
from effbench.config.variants import Variant
from effbench.data import datasets
from effbench.errors import UsageError
from effbench.hardware import hosts, machine, self_check, tpu
from effbench.models.weights import RANDOM, WeightsSource
from effbench.progress import Report, silent
from effbench.sweep import fit_for_data
from effbench.sweep.seeds import UNSEEDED, parse_seeds
from effbench.training import choices


@dataclass(frozen=True)
class Target:
    """What the runs are computed with.

    Attributes:
        device: "cpu", "gpu" or "tpu".
        tpu_name: name of the TPU.
        replicas: how many replicas share a global batch; None for one program without a strategy.
        precision: "float32" or "mixed_bfloat16".
        chief: whether this host keeps the records; only one of several does.
    """

    device: str
    tpu_name: str
    replicas: int | None
    precision: str
    chief: bool


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
    """

    specs: tuple[RunSpec, ...]
    options: SweepOptions
    source: WeightsSource
    target: Target
    data_dir: Path | None = None
    remarks: tuple[str, ...] = ()


def resolve(options: SweepOptions, report: Report = silent) -> Request:
    """Checks everything that can be checked before the first run, and names every run.

    Args:
        options: the options as the command line gives them.
        report: told of a download of the dataset.

    Raises:
        EffbenchError: something is unknown, missing or impossible.
    """
    data, data_dir = datasets.source(options.images.data, options.images.data_dir)
    rows = _rows(options, recipes.get(options.training.recipe or datasets.recipe(data)))
    fit_for_data.of_flags(data, options)
    target = _target(options.device)
    trained = [
        recipe_of(rows.recipe, variant, rows.settings, target.replicas)
        for variant, _ in rows.networks
    ]
    # After all that is cheap to check: it may have to be downloaded.
    whole = datasets.load(data, data_dir, report, skip_unreadable=options.images.skip_unreadable)
    dataset = whole.limited(options.images.limit)
    sizes = [options.networks.image_size or variant.image_size for variant, _ in rows.networks]
    fit_for_data.of_images(dataset, trained, max(sizes), options)
    images = len(dataset.train.labels)
    specs = tuple(
        RunSpec(
            variant=variant.name,
            weights=weights,
            image_size=size,
            recipe=with_epochs_for_steps(recipe, rows.settings, images),
            data=data,
            data_sha256=dataset.sha256,
            limit=options.images.limit,
            seed=seed,
            precision=target.precision,
            feature_cache=options.execution.feature_cache and rows.recipe.way.frozen_backbone,
            micro_batch=options.device.micro_batch,
            classes=len(dataset.classes),
            folds=options.images.kfold or 0,
        )
        for (variant, weights), recipe, size in zip(rows.networks, trained, sizes, strict=True)
        for seed in rows.seeds
    )
    if rows.recipe.way.whole_batches:
        for spec in specs:
            _suits(spec, images, target.replicas or 1)
    return Request(specs, options, rows.source, target, data_dir, rows.remarks)


@dataclass(frozen=True)
class _Rows:
    """The rows of the tables that were named.

    Attributes:
        networks: variants, each with its weights.
        source: where the weights come from.
        recipe: the recipe as its row has it, before it is resolved for a variant.
        settings: texts "key=value" that replace the recipe's numbers; flags are among them.
        seeds: the seeds of each network.
        remarks: as in a `Request`.
    """

    networks: tuple[tuple[Variant, WeightsId], ...]
    source: WeightsSource
    recipe: Recipe
    settings: tuple[str, ...]
    seeds: tuple[int, ...]
    remarks: tuple[str, ...]


def _rows(options: SweepOptions, recipe: Recipe) -> _Rows:
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
    remarks = []
    if not recipe.way.seeded and seeds != UNSEEDED:
        remarks.append(
            f"{recipe.name} has one solution, whatever the seed: one run of each variant, not "
            f"--seeds {options.networks.seeds}"
        )
        seeds = UNSEEDED
    flags = {key: getattr(options.training, key) for key in recipes.FLAGS}
    given = (f"{key}={value}" for key, value in flags.items() if value is not None)
    rows = _Rows(
        networks=tuple((variant, source.identify(variant)) for variant in named),
        source=source,
        recipe=recipe,
        settings=(*options.training.settings, *given),
        seeds=seeds,
        remarks=tuple(remarks),
    )
    _refuse_what_is_needless(recipe, options)
    return rows


def _refuse_what_is_needless(recipe: Recipe, options: SweepOptions) -> None:
    way, micro_batch = recipe.way, options.device.micro_batch
    numbers = (
        (flag, getattr(options.training, key))
        for key, flag in recipes.FLAGS.items()
        if key not in recipe.settable
    )
    for flag, needless, received in (
        *((flag, number is not None, str(number)) for flag, number in numbers),
        (
            "--no-feature-cache",
            not (options.execution.feature_cache or way.in_every_step),
            "all features are computed once",
        ),
        ("--kfold", options.images.kfold and not way.frozen_backbone, "a network for each fold"),
        ("--micro-batch", micro_batch and not way.micro_batches, str(micro_batch)),
        (
            "--tensorboard",
            options.execution.tensorboard and not way.tensorboard,
            "its learning curve is in history.csv",
        ),
    ):
        if needless:
            rule = f"{recipe.name} trains {way.trained}, which needs no {flag}"
            raise UsageError(rule, received, "leave it out")


def _target(options: DeviceOptions) -> Target:
    for flag, given, kind in (
        ("--replicas", options.replicas, "cpu"),
        ("--tpu-name", options.tpu_name, "tpu"),
    ):
        if given is not None and options.device != kind:
            raise UsageError(f"{flag} goes with --{kind}", f"{flag} {given}", f"add --{kind}")
    tpu_name = tpu.named(options.tpu_name)
    device = machine.device(options.device, tpu_name)
    return Target(
        device=device,
        tpu_name=tpu_name or tpu.LOCAL,
        replicas=_replicas(options.replicas, device, tpu_name or tpu.LOCAL),
        precision=machine.precision(options.precision, device),
        # One process drives all hosts of a pod.
        chief=device == "tpu" or hosts.read().chief,
    )


def _replicas(given: int | None, device: str, tpu_name: str) -> int | None:
    host_count = hosts.read().hosts
    if device == "tpu":
        return self_check.ask(device, tpu_name).replicas
    if given is not None and host_count > 1:
        raise UsageError("--replicas is for one host", "TF_CONFIG names several", "leave one out")
    if given is None:
        local = self_check.ask(device).replicas if device == "gpu" else 1
        return host_count * local if host_count * local > 1 else None
    return given


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
    recipe = recipes.changed(standard, settings)
    choices.check(recipe, standard)
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
            "give a smaller --batch-size, or a larger --limit",
        )
    if batch % micro or micro % replicas:
        raise UsageError(
            f"--micro-batch divides the batch of {batch}, and by the replicas ({replicas})",
            str(micro),
            f"give a divisor of {batch}",
        )
    schedule.split(spec.recipe, spec.image_size)
