"""How often workers died with a group: runs that take their machine down are not tried forever.

Whoever ends by itself removes the file that says what it works on. One that lies there when the
lease is free is of a worker that died, by the system's out-of-memory killer or with its machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from effbench.failures import FailureKind
from effbench.records.store import Store
from effbench.sweep import progress_files
from effbench.sweep.groups import Group
from effbench.sweep.progress_files import Running
from effbench.sweep.queues import Queue
from effbench.training.job import Problem

# So many workers may die with a group, one after the other, while nothing of it is saved.
MOST_DEATHS = 3


@dataclass(frozen=True)
class Toll:
    """What became of a group's former workers.

    Attributes:
        deaths: how many died one after the other, since a sweep began and since there was progress.
        saved: `time.time()` of the newest checkpoint, by the folder's clock; 0 for none.
        features: images whose features were computed.
        last: the last of them; None where nobody died.
    """

    deaths: int
    saved: float
    features: int
    last: Running | None

    @property
    def problem(self) -> Problem | None:
        """Why nobody else should try; None if somebody should."""
        if self.last is None or self.deaths < MOST_DEATHS:
            return None
        step = self.last.step
        progress = f"{step.phase} {step.done:,}/{step.total:,}" if step.total else step.phase
        return Problem(
            FailureKind.WORKERS_DIED,
            f"{self.deaths} workers died with it, one after the other, without a newer checkpoint; "
            f"the last was {self.last.host} {self.last.process}, in its phase {progress}",
        )


def toll(store: Store, queue: Queue, group: Group) -> Toll:
    """Counts the deaths; for the holder of the group's lease, before it writes its own file."""
    saved = max(store.last_saved(spec.key) for spec in group.specs)
    left = progress_files.left_behind(store, group)
    if left is None or left.touched < queue.begun:
        return Toll(0, saved, 0, None)
    last = left.running
    computed = last.step.done if last.step.phase == "features" else 0
    features = max(computed, last.features_before)
    progress = saved > last.saved_before or features > last.features_before
    return Toll(0 if progress else last.deaths_before + 1, saved, features, last)
