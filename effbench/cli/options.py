"""The flags that several commands share, each with its help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from effbench.cli.results_folder import folder
from effbench.config.recipes import RECIPES
from effbench.config.variants import EVERYTHING, FAMILIES, RELEASES, VARIANTS
from effbench.data import datasets
from effbench.engines.engine_table import ENGINES
from effbench.errors import UsageError
from effbench.sweep.launchers.launcher_table import LAUNCHERS


class PrecisionName(StrEnum):
    """Values of --precision."""

    auto = "auto"
    float32 = "float32"
    tensorfloat32 = "tensorfloat32"
    mixed_bfloat16 = "mixed_bfloat16"


def precision_name(text: str) -> PrecisionName:
    """A value of --precision; `bfloat16` is what most people call Keras's `mixed_bfloat16`."""
    name = "mixed_bfloat16" if text == "bfloat16" else text
    if name not in set(PrecisionName):
        names = ", ".join(PrecisionName)
        raise typer.BadParameter(f"'{text}' is none of {names}")
    return PrecisionName(name)


class Rescale(StrEnum):
    """Values of --rescale."""

    auto = "auto"
    torch = "torch"
    tf = "tf"


class EpochRule(StrEnum):
    """Values of --select."""

    val_loss = "val_loss"
    val_accuracy = "val_accuracy"
    final = "final"


class CacheAction(StrEnum):
    """What to do with the cache."""

    list = "list"
    clear = "clear"


VariantsOption = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help=f"Comma-separated: {', '.join(VARIANTS)}; {', '.join(FAMILIES)} or {EVERYTHING} "
        "for many.",
    ),
]
PeerPythonOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="An interpreter that has torch and timm.",
        exists=True,
        dir_okay=False,
    ),
]
WaysOption = Annotated[
    str,
    typer.Option(help="How torch runs them: eager, compiled, which takes minutes, or both."),
]
WeightsOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"auto (imagenet; imagenet21k-ft1k for XL), {', '.join(RELEASES)}, none (random), "
        "or an .h5 file.",
    ),
]
WeightsDirOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder searched first for releases, by their file names.",
        exists=True,
        file_okay=False,
    ),
]
DataOption = Annotated[str, typer.Option(metavar="NAME", help=f"{datasets.listed()}.")]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Where the files of --data are: their folder or, of CIFAR, the tar.gz itself.",
        exists=True,
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=32, max=2048, help="Default: each variant's native size."),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Another number of the recipe; may be repeated."
    ),
]
SearchedSettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another number of the recipe; may be repeated. Of several values, e.g. "
        "learning_rate=1e-4,1e-3, each is trained, and report shows the best on validation.",
    ),
]
ResultsOption = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="Folder of the records, or its URL.", parser=folder),
]
RecipesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help=f"Comma-separated: {', '.join(RECIPES)}. Default: {datasets.RECIPE}; "
        "case-study for cifar10.",
    ),
]
RescaleOption = Annotated[
    Rescale, typer.Option(help="Input rescaling that the weights of an .h5 file expect.")
]
SelectOption = Annotated[
    EpochRule | None,
    typer.Option(
        metavar="RULE",
        help="val_loss, val_accuracy or final: show every run at the epoch that this rule chooses, "
        "not its recipe's.",
    ),
]
CpuOption = Annotated[bool, typer.Option("--cpu", help="Use the CPU.")]
GpuOption = Annotated[bool, typer.Option("--gpu", help="Use the GPU.")]
TpuOption = Annotated[bool, typer.Option("--tpu", help="Use the TPU.")]
TpuNameOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Another TPU than this machine's: its name or grpc:// address."
    ),
]
ReplicasOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=64, help="With --cpu: replicas on one CPU, as on a TPU's cores."
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"What runs the network: auto, {', '.join(ENGINES)}; see effbench doctor.",
    ),
]
LauncherOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Where: {', '.join(f'{row.name} ({row.about})' for row in LAUNCHERS.values())}.",
    ),
]
ParallelOption = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Runs at a time on this machine, each with a GPU, a chip or its part of the cores; "
        "auto for as many as are best.",
    ),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Of the Ray cluster. Default: one of this machine alone."
    ),
]
SlurmOption = Annotated[
    str | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="What sbatch is asked for, e.g. partition=gpu,time=4:00:00,gres=gpu:1.",
    ),
]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="With --launcher slurm: stay until all is done.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what failed.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say every step.")]


def only(what: str, flags: dict[str, bool]) -> str | None:
    """The one flag that is set, or None; names in capitals are of arguments.

    Raises:
        UsageError: there are several.
    """
    chosen = [name for name, given in flags.items() if given]
    if len(chosen) > 1:
        given = " ".join(name if name.isupper() else f"--{name}" for name in chosen)
        raise UsageError(f"{what} exclude one another", given, "give one of them")
    return chosen[0] if chosen else None
