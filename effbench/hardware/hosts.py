"""The hosts that run one program together, as TensorFlow's TF_CONFIG describes them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from effbench.errors import UsageError

_EXAMPLE = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """How many hosts there are, and whether this is the one that keeps the records."""

    hosts: int
    chief: bool


def read() -> Cluster:
    """The cluster of this host; without TF_CONFIG, or with one host in it, that is this host alone.

    Raises:
        UsageError: TF_CONFIG is no JSON, or lacks what it must say.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        jobs = config.get("cluster", {})
        # An evaluator, in TensorFlow's terms, takes no part in the training.
        hosts = sum(len(jobs.get(kind, ())) for kind in ("chief", "worker"))
        if hosts <= 1:
            return Cluster(1, chief=True)
        task = config["task"]["type"], int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("TF_CONFIG is not understood", text, f"write {_EXAMPLE}") from error
    if task[0] not in jobs or not 0 <= task[1] < len(jobs[task[0]]):
        raise UsageError("TF_CONFIG's task is not in its cluster", text, f"write {_EXAMPLE}")
    return Cluster(hosts, chief=task == ("chief" if "chief" in jobs else "worker", 0))
