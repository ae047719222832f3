"""A process that does one piece of `workloads`, for `work_timing`."""

from __future__ import annotations

import sys

from effbench import child_process, provenance
from effbench.bench import workloads
from effbench.bench.work_timing import COST, WORK
from effbench.errors import EffbenchError


def main() -> int:
    """Reads what to do, does it, and says how long it took and how much memory."""
    answer = child_process.channel()
    name, *arguments = WORK.validate_json(next(child_process.asked()))
    try:
        seconds: float = getattr(workloads, str(name))(*arguments)
    except EffbenchError as error:
        print(error, file=sys.stderr)
        return child_process.REFUSED
    answer.write(COST.dump_json((seconds, provenance.peak_memory())) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
