"""The help of a command: what its flags are, and in panels by topic where there are many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

from effbench.cli.results_folder import in_step

# The parameters of `sweep` by the title of their panel, in the order in which it declares them.
PANELS = {
    "What to train": ("variants", "weights", "weights_dir", "rescale", "image_size", "seeds"),
    "Data": ("data", "data_dir", "limit", "per_class", "kfold", "skip_unreadable"),
    "Recipe": ("recipe", "epochs", "batch_size", "start_step", "settings"),
    "Device": ("cpu", "gpu", "tpu", "tpu_name", "replicas", "engine", "precision", "micro_batch"),
    "Where records go": ("results", "checkpoint_minutes", "tensorboard"),
    "Many machines": ("launcher", "parallel", "ray_address", "slurm", "wait"),
    "How it runs": (
        *("feature_cache", "cache_gb", "oom_retry", "retry_failed", "force"),
        *("max_hours", "dry_run", "quiet", "verbose", "help"),
    ),
}
# What stands for a value where a flag does not say it better.
_METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_PANEL = {name: title for title, names in PANELS.items() for name in names}


class Command(TyperCommand):
    """A command whose help shows its flags plainly, and whose results may be at a URL."""

    def invoke(self, ctx: Any) -> Any:
        """Runs it between what is brought from a URL and what is sent there."""
        with in_step(ctx):
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        for option in self.get_params(ctx):
            if isinstance(option, TyperOption):
                _name_value(option)
                if self.name == "sweep":  # others have few enough flags for one panel
                    option.rich_help_panel = _PANEL.get(option.name)
        super().format_help(ctx, formatter)


class CommandGroup(TyperGroup):
    """A command of commands, whose help is as plain."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        for option in self.get_params(ctx):
            if isinstance(option, TyperOption):
                _name_value(option)
        super().format_help(ctx, formatter)


def _name_value(option: TyperOption) -> None:
    if option.is_flag:
        option.metavar = ""  # "<bool>" says nothing, and takes room
    elif option.metavar is None:
        option.metavar = _METAVARS.get(option.type_descriptor.annotation)
