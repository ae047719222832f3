"""Runs on whatever machines their user starts `effbench work` on."""

from __future__ import annotations

import shlex

from effbench.config.sweep_options import LaunchOptions
from effbench.sweep import queues
from effbench.sweep.launchers.launcher import Launch


def check(_: LaunchOptions) -> None:
    """There is nothing that it needs."""


def start(launch: Launch) -> None:
    """Writes the sweep down, and says how machines take part."""
    queue = queues.write(launch.store, launch.request)
    results = shlex.quote(str(launch.store.directory.resolve()))
    launch.say(
        f"{len(launch.request.specs):,} runs in {len(queue.groups):,} groups are written down; on "
        f"each machine that sees that folder: effbench work --results {results}"
    )
