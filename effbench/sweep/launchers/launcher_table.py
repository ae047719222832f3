"""The launchers, a row each: where the runs of a sweep are carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from effbench.config.sweep_options import LaunchOptions
from effbench.errors import UsageError
from effbench.hardware import hosts
from effbench.sweep.launchers.launcher import Launcher

LAUNCHERS: Mapping[str, Launcher] = {
    row.name: row
    for row in (
        Launcher("local", "this machine", "local", ("parallel",), False),
        Launcher("ray", "a Ray cluster", "ray_cluster", ("ray_address",), True),
        Launcher("slurm", "a SLURM queue", "slurm", ("slurm", "wait"), True, True),
        Launcher("queue", "machines that run effbench work", "by_hand", (), True, True),
    )
}


def chosen(options: LaunchOptions) -> Launcher:
    """The row of a launcher, for which everything that it needs is there.

    Raises:
        EffbenchError: there is no such launcher, a flag is for another, or it cannot be used here.
    """
    if options.launcher not in LAUNCHERS:
        raise UsageError(
            "unknown launcher", options.launcher, f"choose from {', '.join(LAUNCHERS)}"
        )
    row = LAUNCHERS[options.launcher]
    for field in fields(LaunchOptions):
        given = getattr(options, field.name)
        if field.name not in ("launcher", *row.flags) and given != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            takers = [other.name for other in LAUNCHERS.values() if field.name in other.flags]
            raise UsageError(
                f"{flag} is for --launcher {' or '.join(takers)}",
                f"--launcher {row.name}",
                f"leave out {flag}",
            )
    several = hosts.read().hosts
    if several > 1 and (row.name != "local" or options.parallel is not None):
        raise UsageError(
            "each run of this launcher is on one host",
            f"TF_CONFIG names {several}",
            "unset TF_CONFIG, or leave out --launcher and --parallel",
        )
    row.starter.check(options)
    return row
