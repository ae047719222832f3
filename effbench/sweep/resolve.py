"""From what the command line says to the runs it asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from effbench.config import recipes, schedule, variants
from effbench.config.recipes import Recipe
from effbench.config.run_spec import RunSpec
from effbench.data import datasets
from effbench.errors import UsageError
from effbench.hardware import hosts as cluster
from effbench.hardware import machine, self_check
from effbench.hardware import tpu as tpus
from effbench.models.weights import Source
from effbench.progress import Report, silent
from effbench.training import choices


@dataclass(frozen=True)
class Options:
    """A sweep as the command line describes it; None is the recipe's or the variant's own.

    Attributes:
        variants: comma-separated names, or "all".
        weights: a release, "auto", "none", or the path of an .h5 file.
        rescale: "auto", or what the weights of a file expect: "torch" or "tf".
        weights_dir: searched first for releases.
        data: name of a dataset.
        data_dir: where its files are.
        recipe: name of a recipe.
        seeds: comma-separated whole numbers.
        epochs: instead of the recipe's.
        batch_size: global, instead of the recipe's.
        image_size: instead of each variant's native one.
        limit: number of training images.
        start_step: of the schedule and the optimizer.
        precision: "auto", "float32" or "mixed_bfloat16".
        device: "auto", "cpu", "gpu" or "tpu".
        replicas: parts that the CPU is divided into; None leaves it whole.
        tpu_name: instead of the machine's own TPU, or the one that the environment names.
        feature_cache: False runs the backbone in every step.
        settings: "key=value" each, instead of the recipe's numbers.
        micro_batch: images that go through the network at once, of all replicas.
        checkpoint_minutes: between two checkpoints of a network that trains as a whole.
        oom_retry: tries again with half the micro-batch where memory was too small.
        tensorboard: writes logs for it.
        retry_failed: run again what failed before.
        force: run again what is finished.
    """

    variants: str = "all"
    weights: str = "auto"
    rescale: str = "auto"
    weights_dir: Path | None = None
    data: str = "cifar10"
    data_dir: Path | None = None
    recipe: str = "case-study"
    seeds: str = "0"
    epochs: int | None = None
    batch_size: int | None = None
    image_size: int | None = None
    limit: int | None = None
    start_step: int | None = None
    precision: str = "auto"
    device: str = "auto"
    replicas: int | None = None
    tpu_name: str | None = None
    feature_cache: bool = True
    settings: tuple[str, ...] = ()
    micro_batch: int | None = None
    checkpoint_minutes: float = 10.0
    oom_retry: bool = True
    tensorboard: bool = False
    retry_failed: bool = False
    force: bool = False


@dataclass(frozen=True)
class Request:
    """What to run, and from where.

    Attributes:
        specs: the runs, those of a group beside each other.
        source: of the weights.
        weights_dir: searched first for releases, or None.
        data_dir: where the dataset's files are, or None.
        device: "cpu", "gpu" or "tpu".
        retry_failed: run again what failed before.
        force: run again what is finished.
        replicas: parts that the CPU is divided into, or None.
        tpu_name: of the TPU.
        chief: whether this host keeps the records; only one of several does.
        checkpoint_minutes: between two checkpoints.
        oom_retry: tries again with half the micro-batch where memory was too small.
        tensorboard: writes logs for it.
    """

    specs: tuple[RunSpec, ...]
    source: Source
    weights_dir: Path | None
    data_dir: Path | None
    device: str
    retry_failed: bool
    force: bool
    replicas: int | None
    tpu_name: str
    chief: bool
    checkpoint_minutes: float = 10.0
    oom_retry: bool = True
    tensorboard: bool = False


def resolve(options: Options, report: Report = silent) -> Request:
    """Checks everything that can be checked before the first run, and names every run.

    Args:
        options: as given.
        report: told of a download of the dataset.

    Raises:
        EffbenchError: something is unknown, missing or impossible.
    """
    rows = variants.select(options.variants)
    source = Source.parse(options.weights, options.rescale)
    if source.path is not None and len(rows) != 1:
        raise UsageError(
            "a file of weights fits one variant",
            ",".join(row.name for row in rows),
            "name that one with --variants",
        )
    standard = recipes.get(options.recipe)
    if not standard.pretrained and options.weights != "none":
        if options.weights != "auto":
            raise UsageError(
                f"{standard.name} starts from random weights",
                options.weights,
                "leave out --weights",
            )
        source = Source.parse("none", options.rescale)
    seeds = _seeds(options.seeds)
    # Before the dataset, which may have to be downloaded.
    identities = {row.name: source.identify(row) for row in rows}
    tpu = tpus.named(options.tpu_name)
    device = _device(options, tpu)
    replicas = _replicas(options.replicas, device, tpu or tpus.LOCAL)
    own = {row.name: _recipe(options, row.name, replicas) for row in rows}
    dataset = datasets.load(options.data, options.data_dir, report).limited(options.limit)
    specs = tuple(
        RunSpec(
            variant=row.name,
            weights=identities[row.name],
            image_size=options.image_size or row.image_size,
            recipe=_whole(options, own[row.name], len(dataset.train.labels)),
            data=options.data,
            data_sha256=dataset.sha256,
            limit=options.limit,
            seed=seed,
            precision=machine.precision(options.precision, device),
            feature_cache=options.feature_cache and standard.way.frozen_backbone,
            micro_batch=options.micro_batch,
        )
        for row in rows
        for seed in seeds
    )
    for spec in specs:
        _suits(spec, len(dataset.train.labels), replicas or 1)
    if options.tensorboard and not standard.way.tensorboard:
        raise _needless(standard, "--tensorboard", "its learning curve is in history.csv")
    return Request(
        specs=specs,
        source=source,
        weights_dir=options.weights_dir,
        data_dir=options.data_dir.resolve() if options.data_dir else None,
        device=device,
        retry_failed=options.retry_failed,
        force=options.force,
        replicas=options.replicas,
        tpu_name=tpu or tpus.LOCAL,
        # One process drives all hosts of a pod.
        chief=device == "tpu" or cluster.read().chief,
        checkpoint_minutes=options.checkpoint_minutes,
        oom_retry=options.oom_retry,
        tensorboard=options.tensorboard,
    )


def _recipe(options: Options, variant: str, replicas: int | None) -> Recipe:
    """The recipe of one variant, with what the command line says instead."""
    standard = recipes.resolved(options.recipe, variant)
    usual = standard.way.batch_per_replica
    if usual is not None and replicas is not None:
        standard = replace(standard, batch_size=usual * replicas)
    flags = {key: getattr(options, key) for key in recipes.FLAGS}
    given = (f"{key}={value}" for key, value in flags.items() if value is not None)
    recipe = recipes.changed(standard, (*options.settings, *given))
    choices.check(recipe, standard)
    if recipe.batch_size % (replicas or 1):
        raise UsageError(
            f"--batch-size is global, and divides by the {replicas} replicas",
            str(recipe.batch_size),
            f"give a multiple of {replicas}",
        )
    return recipe


def _whole(options: Options, recipe: Recipe, images: int) -> Recipe:
    """With as many epochs as the steps take that were asked for, unless these were, too."""
    given = {setting.partition("=")[0] for setting in options.settings}
    if recipe.steps is None or "steps" not in given or "epochs" in given or options.epochs:
        return recipe
    return replace(recipe, epochs=schedule.epochs_for_steps(recipe, images, recipe.steps))


def _suits(spec: RunSpec, images: int, replicas: int) -> None:
    """Makes sure that a network can be trained as it is asked for.

    Raises:
        UsageError: a size does not suit.
    """
    if spec.micro_batch is not None and not spec.recipe.way.micro_batches:
        raise _needless(spec.recipe, "--micro-batch", str(spec.micro_batch))
    if not spec.recipe.way.whole_batches:
        return
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


def _needless(recipe: Recipe, flag: str, received: str) -> UsageError:
    rule = f"{recipe.name} trains {recipe.way.trained}, which needs no {flag}"
    return UsageError(rule, received, "leave it out")


def _device(options: Options, tpu: str) -> str:
    for flag, given, kind in (
        ("--replicas", options.replicas, "cpu"),
        ("--tpu-name", options.tpu_name, "tpu"),
    ):
        if given is not None and options.device != kind:
            raise UsageError(f"{flag} goes with --{kind}", f"{flag} {given}", f"add --{kind}")
    return machine.device(options.device, tpu)


def _replicas(given: int | None, device: str, tpu_name: str) -> int | None:
    """Replicas that share a global batch; None for one program without a strategy."""
    hosts = cluster.read().hosts
    if device == "tpu":
        return self_check.ask(device, tpu_name).replicas
    if given is not None and hosts > 1:
        raise UsageError("--replicas is for one host", "TF_CONFIG names several", "leave one out")
    if given is None:
        local = self_check.ask(device).replicas if device == "gpu" else 1
        return hosts * local if hosts * local > 1 else None
    return given


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0 or max(seeds) >= 2**31 or len(set(seeds)) < len(seeds):
        raise UsageError("seeds are different whole numbers from 0 on", text, "write e.g. 0,1,2")
    return seeds
