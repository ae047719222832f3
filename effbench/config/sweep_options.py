"""A sweep as the command line describes it, by topic; None leaves it to recipe or variant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effbench.config.variants import USUAL


@dataclass(frozen=True)
class NetworkOptions:
    """What to train.

    Attributes:
        variants: comma-separated names, as `variants.select` takes them.
        weights: a release, "auto", "none", or the path of an .h5 file.
        weights_dir: searched first for releases.
        rescale: "auto", or what the weights of a file expect: "torch" or "tf".
        image_size: pixels, instead of each variant's native size.
        seeds: comma-separated whole numbers and ranges; one run each.
    """

    variants: str = USUAL
    weights: str = "auto"
    weights_dir: Path | None = None
    rescale: str = "auto"
    image_size: int | None = None
    seeds: str = "0"


@dataclass(frozen=True)
class ImageOptions:
    """What to train it on.

    Attributes:
        data: name of a dataset, or the path of a folder of photos or of their table.
        data_dir: where its files are.
        limit: number of training images.
        per_class: number of training images of each class.
        kfold: folds of a cross-validation of all images, instead of the data's splits.
        skip_unreadable: leave out photos that cannot be read, instead of refusing them all.
    """

    data: str = "cifar10"
    data_dir: Path | None = None
    limit: int | None = None
    per_class: int | None = None
    kfold: int | None = None
    skip_unreadable: bool = False


@dataclass(frozen=True)
class TrainingOptions:
    """How to train it.

    Attributes:
        recipe: name of a recipe, or None for the usual one of the data.
        epochs: how many, instead of the recipe's.
        batch_size: the global batch, instead of the recipe's.
        start_step: step at which the schedule and the optimizer start.
        settings: "key=value" each, instead of the recipe's numbers; of several values between
            commas, each is trained.
    """

    recipe: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    start_step: int | None = None
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceOptions:
    """What to compute it with.

    Attributes:
        device: "auto", "cpu", "gpu" or "tpu".
        tpu_name: replaces the machine's own TPU, or the one that the environment names.
        replicas: parts that the CPU is divided into; None leaves it whole.
        engine: a key of `engines.engine_table.ENGINES`, or "auto".
        precision: "auto", or a row of `PRECISIONS`.
        micro_batch: images that go through the network at once, of all replicas.
        one_each: each run has one GPU or chip for itself.
        elsewhere: the runs may be on other machines, so that this one need not have the device.
    """

    device: str = "auto"
    tpu_name: str | None = None
    replicas: int | None = None
    engine: str = "auto"
    precision: str = "auto"
    micro_batch: int | None = None
    one_each: bool = False
    elsewhere: bool = False


@dataclass(frozen=True)
class ExecutionOptions:
    """How the runs are carried out.

    Attributes:
        feature_cache: False runs the backbone in every step.
        oom_retry: tries again with half the micro-batch where memory was too small.
        retry_failed: run again what failed before.
        force: run again what is finished.
        checkpoint_minutes: time between two checkpoints of a network that trains as a whole.
        tensorboard: writes logs for TensorBoard.
        cache_gb: gigabytes that the pixels of photos may take; None for half of the free disk.
    """

    feature_cache: bool = True
    oom_retry: bool = True
    retry_failed: bool = False
    force: bool = False
    checkpoint_minutes: float = 10.0
    tensorboard: bool = False
    cache_gb: float | None = None


@dataclass(frozen=True)
class SweepOptions:
    """All of it, read from the flags once and carried whole."""

    networks: NetworkOptions = NetworkOptions()
    images: ImageOptions = ImageOptions()
    training: TrainingOptions = TrainingOptions()
    device: DeviceOptions = DeviceOptions()
    execution: ExecutionOptions = ExecutionOptions()


@dataclass(frozen=True)
class LaunchOptions:
    """Where the runs of a sweep are carried out; not what they are.

    Attributes:
        launcher: a row of `launchers.launcher_table.LAUNCHERS`.
        parallel: how many at a time: a number, "auto" for what is best here, or None.
        wait: stay until all is done, where others do the work.
        slurm: what `sbatch` is asked for, e.g. "partition=gpu,time=4:00:00,gres=gpu:1".
        ray_address: of a Ray cluster; None for one of this machine alone.
    """

    launcher: str = "local"
    parallel: str | None = None
    wait: bool = False
    slurm: str | None = None
    ray_address: str | None = None
